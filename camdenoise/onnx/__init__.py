"""Models as ONNX graphs, for programs that have no Python or no torch."""

from camdenoise.onnx._export import export_onnx, graph_inputs

__all__ = ["export_onnx", "graph_inputs"]
