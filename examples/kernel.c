/* Derivative of stiffness/2 · Σ (x[i + 1] − x[i] − rest)² in the points x[0] … x[points − 1]. */

void chain_backward(const double *x, double *slope, long points, double stiffness, double rest) {
    for (long i = 0; i < points; i++) slope[i] = 0.0;
    for (long i = 0; i < points - 1; i++) {
        double force = stiffness * (x[i + 1] - x[i] - rest);
        slope[i] -= force;
        slope[i + 1] += force;
    }
}

/* The same, point by point. The loop needs both neighbours and ends before the last point, which was then forgotten. */
void chain_backward_off_by_one(const double *x, double *slope, long points, double stiffness, double rest) {
    for (long i = 0; i < points; i++) slope[i] = 0.0;
    slope[0] = -stiffness * (x[1] - x[0] - rest);
    for (long i = 1; i < points - 1; i++) slope[i] = stiffness * (2 * x[i] - x[i - 1] - x[i + 1]);
}
