"""Networks written twice and more, as their users write them: equal pairs, and mistakes planted into ports."""
