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
        Route(shape, weights, input, rows);
        int uses = Sort(shape, rows);

        _state.Inputs.Set(input.First, (nint)input.Stride, rows, width);
        for (int e = 0; e < shape.Count; e++)
        {
            Multiply(weights.Experts[e].GateUp, _state.Inputs, state.UseRows, state.FirstUse[e], state.FirstUse[e + 1], state.GateUp);
        }

        _kernels.Activate(block.Activation, state.GateUp, block.Gated ? state.GateUp.From(length) : null, state.GateUp, uses, length);
        state.Inputs.Set(state.GateUp.First, (nint)state.GateUp.Stride, uses, length);
        for (int e = 0; e < shape.Count; e++)
        {
            Multiply(weights.Experts[e].Down, state.Inputs, state.UseNumbers, state.FirstUse[e], state.FirstUse[e + 1], state.Outputs);
        }

        for (int row = 0; row < rows; row++)
        {
            new Span<float>(output[row], width).Clear();
            for (int k = 0; k < shape.Used; k++)
            {
                int choice = (row * shape.Used) + k;
                _kernels.Add(state.Outputs.Skip(state.UseOf[choice]), state.ChosenWeights[choice], output.Skip(row), 1, width);
            }
        }

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
            Multiply(gate, input, rows, gates);
            _kernels.Sigmoid(gates, rows, 1);
            for (int row = 0; row < rows; row++)
            {
                _kernels.Scale(result.Skip(row), *gates[row], 1, _shape.EmbeddingLength);
            }
        }

        _kernels.Add(result, 1, output, rows, _shape.EmbeddingLength);
    }

    /// <summary>Chooses every row's experts and their weights.</summary>
    private void Route(ExpertShape shape, ExpertWeights weights, Rows input, int rows)
    {
        ExpertState state = _state.Experts!;
        Multiply(weights.Router, input, rows, state.Scores);
        if (shape.Router == RouterKind.Softmax)
        {
            _kernels.Softmax(state.Scores, rows, shape.Count);
        }
        else if (shape.Router == RouterKind.Sigmoid)
        {
            _kernels.Sigmoid(state.Scores, rows, shape.Count);
        }

        ReadOnlySpan<float> bias = weights.SelectionBias is null ? default : weights.SelectionBias.Span;
        for (int row = 0; row < rows; row++)
        {
            Span<int> chosen = state.Chosen.AsSpan(row * shape.Used, shape.Used);
            Span<float> chosenWeights = state.ChosenWeights.AsSpan(row * shape.Used, shape.Used);
            Router.Choose(shape, new Span<float>(state.Scores[row], shape.Count), bias, state.Selection, chosen, chosenWeights);
            if (shape.Router == RouterKind.SoftmaxOfChosen)
            {
                fixed (float* first = chosenWeights)
                {
                    _kernels.Softmax(new Rows(first, 0), 1, shape.Used);
                }
            }

            Router.Weigh(shape, chosenWeights);
        }
    }

    /// <summary>Sorts uses by expert, rows rising within one. Returns how many there are.</summary>
    private int Sort(ExpertShape shape, int rows)
    {
        ExpertState state = _state.Experts!;
        Span<int> first = state.FirstUse.AsSpan(0, shape.Count + 1);
        int uses = rows * shape.Used;
        first.Clear();
        for (int i = 0; i < uses; i++)
        {
            first[state.Chosen[i] + 1]++;
        }

        for (int e = 0; e < shape.Count; e++)
        {
            first[e + 1] += first[e];
        }

        for (int i = 0; i < uses; i++)
        {
            // Counts up to the next expert's start, so that the starts can be restored by one shift.
            int use = first[state.Chosen[i]]++;
            state.UseRows[use] = i / shape.Used;
            state.UseOf[i] = use;
        }

        for (int e = shape.Count; e > 0; e--)
        {
            first[e] = first[e - 1];
        }

        first[0] = 0;
        return uses;
    }

    /// <summary>y = W x + b for the uses [first, end), whose inputs are the rows that <paramref name="rowOfUse"/> names.</summary>
    private void Multiply(Linear weights, ActivationRows inputs, int* rowOfUse, int first, int end, Rows output)
    {
        int count = end - first;
        if (count == 0)
        {
            return;
        }

        Rows y = output.Skip(first);
        foreach ((WeightMatrix matrix, int firstOutput) in weights.Parts)
        {
            MatMul.Multiply(_kernels.Team, matrix, inputs, rowOfUse + first, count, y.First + firstOutput, (nint)y.Stride);
        }

        if (weights.Bias is not null)
        {
            _kernels.AddBias(weights.Bias, y, count, weights.Rows);
        }

        _adapters.Add(weights, _batch, inputs, rowOfUse + first, _state.Experts!.UseRows + first, count, y);
    }
}
