using ILGPU;
using ILGPU.Runtime;
using Lamina.Compute.Gpu.Code;

namespace Lamina.Compute.Gpu;

/// <summary>The kernels that do not depend on a weight format, each built when it is first used.</summary>
internal sealed class RowLaunchers<TTeam, TRow>(Accelerator accelerator)
    where TTeam : struct, ITeam
    where TRow : struct, ITeam
{
    private Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<float>, ArrayView<float>, RowsView, int, int, int, int, int, float>? _norm;
    private Action<AcceleratorStream, KernelConfig, ArrayView<int>, ArrayView<double>, RowsView, RowsView, int, int, int, float>? _ropeFactors;
    private Action<AcceleratorStream, KernelConfig, RowsView, RowsView, RowsView, int, int, int, int, int>? _rope;
    private Action<AcceleratorStream, KernelConfig, RowsView, RowsView, RowsView, int, int, int, int>? _activate;
    private Action<AcceleratorStream, KernelConfig, RowsView, RowsView, int, int, float>? _add;
    private Action<AcceleratorStream, KernelConfig, RowsView, int, int, int, float>? _change;
    private Action<AcceleratorStream, KernelConfig, RowsView, RowsView, int, int>? _scaleRows;
    private Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<int>, RowsView, int, int>? _copy;
    private Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<sbyte>, ArrayView<float>, ArrayView<float>, int, int, int>? _quantise;
    private Action<AcceleratorStream, KernelConfig, RowsView, RowsView, ArrayView<float>, RouterForm, ArrayView<int>, ArrayView<float>, int>? _route;
    private Action<AcceleratorStream, KernelConfig, ArrayView<int>, ExpertView, ArrayView<int>, int, int, int>? _sort;
    private Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<int>, ArrayView<float>, RowsView, int, int, int>? _combine;
    private Action<AcceleratorStream, KernelConfig, RowsView, RowsView, ArrayView<int>, ArrayView<float>, int, int, int>? _pick;
    private Action<AcceleratorStream, KernelConfig, RowsView, RowsView, ArrayView<float>, int, int, int, int>? _merge;

    public Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<float>, ArrayView<float>, RowsView, int, int, int, int, int, float> Norm =>
        _norm ??= accelerator.LoadKernel<RowsView, ArrayView<float>, ArrayView<float>, RowsView, int, int, int, int, int, float>(RowCode.Norm<TRow>);

    public Action<AcceleratorStream, KernelConfig, ArrayView<int>, ArrayView<double>, RowsView, RowsView, int, int, int, float> RopeFactors =>
        _ropeFactors ??= accelerator.LoadKernel<ArrayView<int>, ArrayView<double>, RowsView, RowsView, int, int, int, float>(RowCode.RopeFactors);

    public Action<AcceleratorStream, KernelConfig, RowsView, RowsView, RowsView, int, int, int, int, int> Rope =>
        _rope ??= accelerator.LoadKernel<RowsView, RowsView, RowsView, int, int, int, int, int>(RowCode.Rope);

    public Action<AcceleratorStream, KernelConfig, RowsView, RowsView, RowsView, int, int, int, int> Activate =>
        _activate ??= accelerator.LoadKernel<RowsView, RowsView, RowsView, int, int, int, int>(RowCode.Activate);

    public Action<AcceleratorStream, KernelConfig, RowsView, RowsView, int, int, float> Add =>
        _add ??= accelerator.LoadKernel<RowsView, RowsView, int, int, float>(RowCode.Add);

    public Action<AcceleratorStream, KernelConfig, RowsView, int, int, int, float> Change =>
        _change ??= accelerator.LoadKernel<RowsView, int, int, int, float>(RowCode.Change);

    public Action<AcceleratorStream, KernelConfig, RowsView, RowsView, int, int> ScaleRows =>
        _scaleRows ??= accelerator.LoadKernel<RowsView, RowsView, int, int>(RowCode.ScaleRows);

    public Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<int>, RowsView, int, int> Copy =>
        _copy ??= accelerator.LoadKernel<RowsView, ArrayView<int>, RowsView, int, int>(RowCode.Copy);

    public Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<sbyte>, ArrayView<float>, ArrayView<float>, int, int, int> Quantise =>
        _quantise ??= accelerator.LoadKernel<RowsView, ArrayView<sbyte>, ArrayView<float>, ArrayView<float>, int, int, int>(QuantiseCode.Quantise<TTeam>);

    public Action<AcceleratorStream, KernelConfig, RowsView, RowsView, ArrayView<float>, RouterForm, ArrayView<int>, ArrayView<float>, int> Route =>
        _route ??= accelerator.LoadKernel<RowsView, RowsView, ArrayView<float>, RouterForm, ArrayView<int>, ArrayView<float>, int>(ExpertCode.Route);

    public Action<AcceleratorStream, KernelConfig, ArrayView<int>, ExpertView, ArrayView<int>, int, int, int> Sort =>
        _sort ??= accelerator.LoadKernel<ArrayView<int>, ExpertView, ArrayView<int>, int, int, int>(ExpertCode.Sort);

    public Action<AcceleratorStream, KernelConfig, RowsView, ArrayView<int>, ArrayView<float>, RowsView, int, int, int> Combine =>
        _combine ??= accelerator.LoadKernel<RowsView, ArrayView<int>, ArrayView<float>, RowsView, int, int, int>(ExpertCode.Combine);

    public Action<AcceleratorStream, KernelConfig, RowsView, RowsView, ArrayView<int>, ArrayView<float>, int, int, int> Pick =>
        _pick ??= accelerator.LoadKernel<RowsView, RowsView, ArrayView<int>, ArrayView<float>, int, int, int>(PickCode.PickLargest);

    public Action<AcceleratorStream, KernelConfig, RowsView, RowsView, ArrayView<float>, int, int, int, int> Merge =>
        _merge ??= accelerator.LoadKernel<RowsView, RowsView, ArrayView<float>, int, int, int, int>(AttentionCode.Merge<TTeam>);
}

/// <summary>The kernels of one cache format.</summary>
internal sealed class CacheLaunchers<TCache, TTeam>(Accelerator accelerator)
    where TCache : struct, ICacheFormat
    where TTeam : struct, ITeam
{
    private Action<AcceleratorStream, KernelConfig, CacheView, RowsView, RowsView, int>? _store;
    private Action<AcceleratorStream, KernelConfig, CacheView, RowsView, RowsView, AttentionForm, ArrayView<float>, int>? _attend;
    private Action<AcceleratorStream, KernelConfig, CacheView, RowsView, RowsView, AttentionForm, int, int>? _attendSpans;

    public Action<AcceleratorStream, KernelConfig, CacheView, RowsView, RowsView, int> Store =>
        _store ??= accelerator.LoadKernel<CacheView, RowsView, RowsView, int>(AttentionCode.Store<TCache>);

    public Action<AcceleratorStream, KernelConfig, CacheView, RowsView, RowsView, AttentionForm, ArrayView<float>, int> Attend =>
        _attend ??= accelerator.LoadKernel<CacheView, RowsView, RowsView, AttentionForm, ArrayView<float>, int>(AttentionCode.Attend<TCache, TTeam>);

    public Action<AcceleratorStream, KernelConfig, CacheView, RowsView, RowsView, AttentionForm, int, int> AttendSpans =>
        _attendSpans ??= accelerator.LoadKernel<CacheView, RowsView, RowsView, AttentionForm, int, int>(AttentionCode.AttendSpans<TCache, TTeam>);
}
