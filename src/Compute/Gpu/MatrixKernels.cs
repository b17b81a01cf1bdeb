using ILGPU;
using ILGPU.Runtime;
using Lamina.Compute.Gguf;
using Lamina.Compute.Gpu.Code;

namespace Lamina.Compute.Gpu;

/// <summary>The kernels of one weight format, each built when it is first used.</summary>
internal abstract class MatrixKernels
{
    public abstract void One(AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias);

    public abstract void Few(AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int inputRows);

    public abstract void Many(AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int inputRows);

    public abstract void Experts(
        AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, ExpertView experts, int expertRows, int biasStride, int biasOffset, int uses, int byUse);

    public abstract void Embed(AcceleratorStream stream, KernelConfig launch, MatrixView w, ArrayView<int> ids, RowsView y, int count);

    public static MatrixKernels For<TTeam>(Accelerator accelerator, GgmlType type, bool largeTiles)
        where TTeam : struct, ITeam
        => type switch
        {
            GgmlType.F32 => new Floats<FormatF32, TTeam>(accelerator),
            GgmlType.F16 => new Floats<FormatF16, TTeam>(accelerator),
            GgmlType.BF16 => new Floats<FormatBF16, TTeam>(accelerator),
            GgmlType.Q4_0 => Quantised<FormatQ4_0, TTeam>(accelerator, largeTiles),
            GgmlType.Q8_0 => Quantised<FormatQ8_0, TTeam>(accelerator, largeTiles),
            GgmlType.Q4_K => Quantised<FormatQ4_K, TTeam>(accelerator, largeTiles),
            GgmlType.Q5_K => Quantised<FormatQ5_K, TTeam>(accelerator, largeTiles),
            GgmlType.Q6_K => Quantised<FormatQ6_K, TTeam>(accelerator, largeTiles),
            GgmlType.IQ4_XS => Quantised<FormatIQ4_XS, TTeam>(accelerator, largeTiles),
            GgmlType.MXFP4 => Quantised<FormatMXFP4, TTeam>(accelerator, largeTiles),
            _ => throw new NotSupportedException($"{type} has no kernels on the device"),
        };

    private static MatrixKernels Quantised<TFormat, TTeam>(Accelerator accelerator, bool largeTiles)
        where TFormat : struct, IFormat<QuantUnit>
        where TTeam : struct, ITeam
        => largeTiles ? new Quants<TFormat, TTeam, LargeTile>(accelerator) : new Quants<TFormat, TTeam, SmallTile>(accelerator);

    private abstract class Any<TFormat, TUnit, TTeam>(Accelerator accelerator) : MatrixKernels
        where TFormat : struct, IFormat<TUnit>
        where TUnit : unmanaged
        where TTeam : struct, ITeam
    {
        private Action<AcceleratorStream, KernelConfig, MatrixView, InputView, RowsView, ArrayView<float>>? _one;
        private Action<AcceleratorStream, KernelConfig, MatrixView, InputView, RowsView, ArrayView<float>, int>? _few;
        private Action<AcceleratorStream, KernelConfig, MatrixView, InputView, RowsView, ArrayView<float>, ExpertView, int, int, int, int, int>? _experts;
        private Action<AcceleratorStream, KernelConfig, MatrixView, ArrayView<int>, RowsView, int>? _embed;

        public override void One(AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias)
        {
            _one ??= accelerator.LoadKernel<MatrixView, InputView, RowsView, ArrayView<float>>(MatrixCode.MultiplyOne<TFormat, TUnit, TTeam>);
            _one(stream, launch, w, x, y, bias);
        }

        public override void Few(AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int inputRows)
        {
            _few ??= accelerator.LoadKernel<MatrixView, InputView, RowsView, ArrayView<float>, int>(MatrixCode.MultiplyFew<TFormat, TUnit, TTeam>);
            _few(stream, launch, w, x, y, bias, inputRows);
        }

        public override void Experts(
            AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, ExpertView experts, int expertRows, int biasStride, int biasOffset, int uses, int byUse)
        {
            _experts ??= accelerator.LoadKernel<MatrixView, InputView, RowsView, ArrayView<float>, ExpertView, int, int, int, int, int>(MatrixCode.MultiplyExperts<TFormat, TUnit, TTeam>);
            _experts(stream, launch, w, x, y, bias, experts, expertRows, biasStride, biasOffset, uses, byUse);
        }

        public override void Embed(AcceleratorStream stream, KernelConfig launch, MatrixView w, ArrayView<int> ids, RowsView y, int count)
        {
            _embed ??= accelerator.LoadKernel<MatrixView, ArrayView<int>, RowsView, int>(MatrixCode.Embed<TFormat, TUnit, TTeam>);
            _embed(stream, launch, w, ids, y, count);
        }
    }

    private sealed class Floats<TFormat, TTeam>(Accelerator accelerator) : Any<TFormat, FloatUnit, TTeam>(accelerator)
        where TFormat : struct, IFormat<FloatUnit>
        where TTeam : struct, ITeam
    {
        public override void Many(AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int inputRows) =>
            throw new NotSupportedException("tiles are for quantised weights");
    }

    private sealed class Quants<TFormat, TTeam, TTile>(Accelerator accelerator) : Any<TFormat, QuantUnit, TTeam>(accelerator)
        where TFormat : struct, IFormat<QuantUnit>
        where TTeam : struct, ITeam
        where TTile : struct, ITileShape
    {
        private readonly Accelerator _accelerator = accelerator;
        private Action<AcceleratorStream, KernelConfig, MatrixView, InputView, RowsView, ArrayView<float>, int>? _many;

        public override void Many(AcceleratorStream stream, KernelConfig launch, MatrixView w, InputView x, RowsView y, ArrayView<float> bias, int inputRows)
        {
            _many ??= _accelerator.LoadKernel<MatrixView, InputView, RowsView, ArrayView<float>, int>(TileCode.MultiplyMany<TFormat, TTile>);
            _many(stream, launch, w, x, y, bias, inputRows);
        }
    }
}
