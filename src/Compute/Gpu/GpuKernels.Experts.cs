using ILGPU;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Gpu.Weights;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Compute.Gpu;

internal sealed unsafe partial class GpuKernels<TTeam, TRow>
{
    private GpuBuffer? _selection, _chosen, _chosenWeights, _useOf, _useExpert, _useRow, _firstUse;
    private int _usedExperts;

    /// <summary>All experts' rows stand in one matrix, one expert below the other, for each run of parts of the same type.</summary>
    public ExpertLinear PackExperts(IReadOnlyList<WeightPart[]> parts, IReadOnlyList<float[]>? bias)
    {
        var packed = new GpuExpertLinear();
        try
        {
            WeightPart[] one = parts[0];
            for (int first = 0, output = 0; first < one.Length;)
            {
                int from = first, end = PackedParts.SameType(one, first);
                var matrix = GpuMatrix.Pack(_memory, _staging, _team, parts.SelectMany(expert => expert[from..end]).ToArray());
                packed.Matrices.Add((matrix, output));
                output += matrix.Rows / parts.Count;
                first = end;
            }

            packed.Experts = parts.Count;
            packed.Columns = checked((int)one[0].Tensor.Columns);
            packed.Bias = bias is null ? null : new Vector(this, bias.SelectMany(values => values).ToArray());
            return packed;
        }
        catch
        {
            packed.Dispose();
            throw;
        }
    }

    public void Route(ExpertShape shape, Rows scores, Vector? bias, int rows)
    {
        int uses = rows * shape.Used;
        ReserveUses(rows, shape.Count, shape.Used);
        var form = new RouterForm
        {
            Count = shape.Count,
            Used = shape.Used,
            Groups = shape.Groups,
            GroupsUsed = shape.GroupsUsed,
            Normalise = shape.Normalise ? 1 : 0,
            Kind = (int)shape.Router,
            WeightScale = shape.WeightScale,
        };
        _usedExperts = shape.Used;
        ArrayView<float> offsets = bias is null ? NoFloats : _memory.From<float>(bias.Values).SubView(0, shape.Count);
        _launch.Route(_stream, Threads(rows), _memory.Rows(scores), new RowsView(_selection!.View.Cast<float>(), shape.Count), offsets, form, _chosen!.View.Cast<int>(), _chosenWeights!.View.Cast<float>(), rows);
        _launch.Sort(_stream, Threads(shape.Count + 1), _chosen.View.Cast<int>(), Uses, _useOf!.View.Cast<int>(), shape.Count, shape.Used, uses);
    }

    public void MultiplyExperts(ExpertLinear weights, Rows x, int rows, bool byUse, Rows y)
    {
        _mirrored = null;
        var experts = (GpuExpertLinear)weights;
        int uses = rows * _usedExperts;
        InputView input = Input(experts.Matrices.Exists(part => part.Matrix.Layout.IsQuantised), x, byUse ? uses : rows, experts.Columns);
        foreach ((GpuMatrix matrix, int firstOutput) in experts.Matrices)
        {
            int expertRows = matrix.Rows / experts.Experts;
            ArrayView<float> bias = experts.Bias is null ? NoFloats : _memory.From<float>(experts.Bias.Values);
            int biasStride = experts.Bias is null ? 0 : experts.Bias.Length / experts.Experts;
            Format(matrix).Experts(
                _stream, Teams((long)expertRows * uses), matrix.View, input, _memory.Rows(y.From(firstOutput)), bias, Uses, expertRows, biasStride, firstOutput, uses, byUse ? 1 : 0);
        }
    }

    public void CombineExperts(Rows x, Rows y, int rows, int length) =>
        _launch.Combine(_stream, Threads((long)rows * length), _memory.Rows(x), _useOf!.View.Cast<int>(), _chosenWeights!.View.Cast<float>(), _memory.Rows(y), rows, _usedExperts, length);

    private ExpertView Uses => new() { Expert = _useExpert!.View.Cast<int>(), Row = _useRow!.View.Cast<int>(), First = _firstUse!.View.Cast<int>() };

    private void ReserveUses(int rows, int experts, int used)
    {
        long uses = (long)rows * used;
        Ensure(ref _selection, (long)rows * experts * sizeof(float));
        Ensure(ref _chosen, uses * sizeof(int));
        Ensure(ref _chosenWeights, uses * sizeof(float));
        Ensure(ref _useOf, uses * sizeof(int));
        Ensure(ref _useExpert, uses * sizeof(int));
        Ensure(ref _useRow, uses * sizeof(int));
        Ensure(ref _firstUse, (experts + 1L) * sizeof(int));
    }

    /// <summary>Every expert's map in one matrix for each type.</summary>
    private sealed class GpuExpertLinear : ExpertLinear
    {
        public List<(GpuMatrix Matrix, int FirstOutput)> Matrices { get; } = [];
        public Vector? Bias { get; set; }
        public int Experts { get; set; }
        public int Columns { get; set; }

        public override long Bytes => Matrices.Sum(part => part.Matrix.Bytes) + (Bias?.Bytes ?? 0);

        public override void Dispose()
        {
            Matrices.ForEach(part => part.Matrix.Dispose());
            Bias?.Dispose();
        }
    }
}
