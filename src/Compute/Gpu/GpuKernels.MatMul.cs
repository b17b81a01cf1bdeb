using ILGPU;
using Lamina.Compute.Gguf;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Gpu.Weights;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Gpu;

internal sealed unsafe partial class GpuKernels<TTeam, TRow>
{
    private readonly Dictionary<GgmlType, MatrixKernels> _formats = [];
    private GpuBuffer? _quants, _scales, _sums, _ids;

    public IWeightMatrix Pack(params ReadOnlySpan<WeightPart> parts) => GpuMatrix.Pack(_memory, _staging, _team, parts);

    public void Embed(IWeightMatrix matrix, ReadOnlySpan<int> ids, Rows y)
    {
        MatrixView w = ((GpuMatrix)matrix).View;
        Format(matrix).Embed(_stream, Teams((long)ids.Length * w.Units), w, Ids(ids), _memory.Rows(y), ids.Length);
    }

    public void Multiply(Linear weights, Rows x, int rows, Rows y, bool ofLogitRows = false)
    {
        _mirrored = null;
        InputView input = Input(weights.Parts, x, rows, weights.Columns);
        foreach ((IWeightMatrix matrix, int firstOutput) in weights.Parts)
        {
            MatrixView w = ((GpuMatrix)matrix).View;
            ArrayView<float> bias = weights.Bias is null ? NoFloats : _memory.From<float>(weights.Bias + firstOutput).SubView(0, w.Rows);
            Multiply(matrix, w, input, _memory.Rows(y.From(firstOutput)), bias, rows);
        }
    }

    private void Multiply(IWeightMatrix matrix, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int rows)
    {
        MatrixKernels format = Format(matrix);
        if (rows == 1)
        {
            format.One(_stream, Teams((w.Rows + 1) / 2), w, x, y, bias);
        }
        else if (rows < _profile.TileInputs || !((GpuMatrix)matrix).Layout.IsQuantised)
        {
            long tiles = (rows + MatrixCode.SharedInputs - 1) / MatrixCode.SharedInputs;
            format.Few(_stream, Teams(w.Rows * tiles), w, x, y, bias, rows);
        }
        else
        {
            (int down, int across) = _profile.LargeTiles ? (LargeTile.Rows, LargeTile.Inputs) : (SmallTile.Rows, SmallTile.Inputs);
            long tiles = (long)((w.Rows + down - 1) / down) * ((rows + across - 1) / across);
            format.Many(_stream, new KernelConfig((int)Math.Clamp(tiles, 1, _profile.MaxGroups), _profile.TileThreads), w, x, y, bias, rows);
        }
    }

    private MatrixKernels Format(IWeightMatrix matrix)
    {
        GgmlType type = ((GpuMatrix)matrix).Layout.Type;
        if (!_formats.TryGetValue(type, out MatrixKernels? kernels))
        {
            kernels = MatrixKernels.For<TTeam>(_accelerator, type, _profile.LargeTiles);
            _formats.Add(type, kernels);
        }

        return kernels;
    }

    /// <summary>The input as the matrices take it; quantised when any of them is.</summary>
    private InputView Input(ReadOnlySpan<(IWeightMatrix Matrix, int FirstOutput)> parts, Rows x, int rows, int columns)
    {
        bool quantised = false;
        foreach ((IWeightMatrix matrix, _) in parts)
        {
            quantised |= ((GpuMatrix)matrix).Layout.IsQuantised;
        }

        return Input(quantised, x, rows, columns);
    }

    private InputView Input(bool quantised, Rows x, int rows, int columns)
    {
        ReserveInput(rows, columns);
        var input = new InputView
        {
            Floats = _memory.Rows(x),
            Columns = columns,
            Quants = _quants!.View.Cast<Int4>(),
            Scales = _scales!.View.Cast<float>(),
            Sums = _sums!.View.Cast<float>(),
            Blocks = (columns + 31) / 32,
        };
        if (quantised)
        {
            _launch.Quantise(_stream, Teams((long)rows * input.Blocks), input.Floats, _quants.View.Cast<sbyte>(), input.Scales, input.Sums, rows, columns, input.Blocks);
        }

        return input;
    }

    private void ReserveInput(int rows, int columns)
    {
        long blocks = (columns + 31) / 32 * (long)rows;
        Ensure(ref _quants, blocks * 32);
        Ensure(ref _scales, blocks * sizeof(float));
        Ensure(ref _sums, blocks * sizeof(float));
    }

    /// <summary>Numbers of the host on the device, until the next call.</summary>
    private ArrayView<int> Ids(ReadOnlySpan<int> ids)
    {
        Ensure(ref _ids, (long)ids.Length * sizeof(int));
        _staging.Upload(ids, _ids!.View);
        return _ids.View.Cast<int>();
    }
}
