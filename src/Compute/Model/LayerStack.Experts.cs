using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

internal sealed unsafe partial class LayerStack
{
    /// <summary>y = sum over the chosen experts, best first, of weight × expert(x), plus the shared expert.</summary>
    private void Experts(FeedForwardShape block, ExpertWeights weights, Rows input, int rows, Rows output)
    {
        ExpertState state = _state.Experts!;
        ExpertShape shape = block.Experts!;
        int width = _shape.EmbeddingLength, length = block.Length;
        _kernels.Multiply(weights.Router, input, rows, state.Scores);
        _kernels.Route(shape, state.Scores, weights.SelectionBias, rows);
        _kernels.MultiplyExperts(weights.GateUp, input, rows, byUse: false, state.GateUp);
        _kernels.Activate(block.Activation, state.GateUp, block.Gated ? state.GateUp.From(length) : null, state.GateUp, rows * shape.Used, length);
        _kernels.MultiplyExperts(weights.Down, state.GateUp, rows, byUse: true, state.Outputs);
        _kernels.CombineExperts(state.Outputs, output, rows, width);
        if (weights.Shared is { } shared)
        {
            AddShared(block, shared, weights.SharedGate, input, rows, output);
        }
    }

    private void AddShared(FeedForwardShape block, FeedForwardWeights shared, Linear? gate, Rows input, int rows, Rows output)
    {
        // The first rows of the experts' outputs are free again.
        Rows result = _state.Experts!.Outputs;
        FeedForward(block, shared, input, rows, result);
        if (gate is not null)
        {
            Rows gates = _state.Experts.SharedGates;
            _kernels.Multiply(gate, input, rows, gates);
            _kernels.Sigmoid(gates, rows, 1);
            _kernels.ScaleRows(result, gates, rows, _shape.EmbeddingLength);
        }

        _kernels.Add(result, 1, output, rows, _shape.EmbeddingLength);
    }
}
