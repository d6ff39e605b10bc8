"""One function in several frameworks: compared layer by layer, forward and backward."""

__all__ = [
    "Compared",
    "Layout",
    "LayoutError",
    "Port",
    "PortProblem",
    "PortReport",
    "PortResult",
    "compare",
    "compare_files",
    "equinox_port",
    "flax_port",
    "function_port",
    "read_port",
    "record",
    "tap",
    "tap_cotangent",
    "torch_port",
    "transfer",
]

from gradproof.porting.compare import compare
from gradproof.porting.doors import equinox_port, flax_port, function_port, torch_port
from gradproof.porting.layouts.layout import Layout, LayoutError
from gradproof.porting.layouts.transferring import transfer
from gradproof.porting.port import Port
from gradproof.porting.problem import PortProblem
from gradproof.porting.record import Compared, PortReport, PortResult
from gradproof.porting.recording.files import compare_files, read_port, record
from gradproof.porting.tap import tap, tap_cotangent
