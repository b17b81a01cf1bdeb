using Lamina.Compute.Model;

namespace Lamina.Compute.Kernels;

/// <summary>Layers with experts: each expert multiplies the rows that were sent to it.</summary>
internal abstract unsafe partial class CpuKernels
{
    private ExpertUses? _uses;

    public ExpertLinear PackExperts(IReadOnlyList<WeightPart[]> parts, IReadOnlyList<float[]>? bias)
    {
        var experts = new CpuExpertLinear(parts.Count);
        try
        {
            for (int e = 0; e < parts.Count; e++)
            {
                experts.Set(e, PackedParts.Pack(this, parts[e], e, parts.Count, bias?[e], experts.Own));
            }

            return experts;
        }
        catch
        {
            experts.Dispose();
            throw;
        }
    }

    public void Route(ExpertShape shape, Rows scores, Vector? bias, int rows)
    {
        if (shape.Router == RouterKind.Softmax)
        {
            Softmax(scores, rows, shape.Count);
        }
        else if (shape.Router == RouterKind.Sigmoid)
        {
            Sigmoid(scores, rows, shape.Count);
        }

        ReadOnlySpan<float> biases = bias is null ? default : new(bias.Values, bias.Length);
        for (int row = 0; row < rows; row++)
        {
            Span<int> chosen = _uses!.Chosen.AsSpan(row * shape.Used, shape.Used);
            Span<float> weights = _uses.Weights.AsSpan(row * shape.Used, shape.Used);
            Router.Choose(shape, new Span<float>(scores[row], shape.Count), biases, _uses.Selection, chosen, weights);
            if (shape.Router == RouterKind.SoftmaxOfChosen)
            {
                fixed (float* first = weights)
                {
                    Softmax(new Rows(first, 0), 1, shape.Used);
                }
            }

            Router.Weigh(shape, weights);
        }

        _uses!.Sort(shape.Count, shape.Used, rows);
    }

    public void MultiplyExperts(ExpertLinear weights, Rows x, int rows, bool byUse, Rows y)
    {
        Linear[] experts = ((CpuExpertLinear)weights).Experts;
        ExpertUses uses = _uses!;
        ActivationRows inputs = byUse ? uses.Inputs : _inputs!;
        inputs.Set(x.First, (nint)x.Stride, byUse ? uses.Count : rows, experts[0].Columns);
        for (int e = 0; e < experts.Length; e++)
        {
            Multiply(experts[e], inputs, byUse ? uses.Numbers : uses.Rows, uses.First[e], uses.First[e + 1], y);
        }
    }

    public void CombineExperts(Rows x, Rows y, int rows, int length)
    {
        ExpertUses uses = _uses!;
        for (int row = 0; row < rows; row++)
        {
            new Span<float>(y[row], length).Clear();
            for (int k = 0; k < uses.Used; k++)
            {
                int choice = (row * uses.Used) + k;
                Add(x.Skip(uses.UseOf[choice]), uses.Weights[choice], y.Skip(row), 1, length);
            }
        }
    }

    public void ScaleRows(Rows x, Rows factors, int rows, int length)
    {
        for (int row = 0; row < rows; row++)
        {
            Scale(x.Skip(row), *factors[row], 1, length);
        }
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
        foreach ((IWeightMatrix matrix, int firstOutput) in weights.Parts)
        {
            MatMul.Multiply(team, (WeightMatrix)matrix, inputs, rowOfUse + first, count, y.First + firstOutput, (nint)y.Stride);
        }

        if (weights.Bias is not null)
        {
            AddBias(weights.Bias, y, count, weights.Rows);
        }

        Adapters?.Add(weights, Adapters.Batch, inputs, rowOfUse + first, _uses!.Rows + first, count, y);
    }

    /// <summary>A linear map for every expert.</summary>
    private sealed class CpuExpertLinear(int count) : ExpertLinear
    {
        private readonly List<IDisposable> _owned = [];

        public Linear[] Experts { get; } = new Linear[count];

        public override IReadOnlyList<Linear> Linears => Experts;

        public override long Bytes => Experts.Sum(expert => expert.Bytes);

        public void Set(int expert, Linear linear) => Experts[expert] = linear;

        public void Own(IDisposable memory, long bytes) => _owned.Add(memory);

        public override void Dispose() => _owned.ForEach(memory => memory.Dispose());
    }
}
