using System.Runtime.InteropServices;
using ILGPU;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Gpu;

internal sealed unsafe partial class GpuKernels<TTeam, TRow>
{
    /// <summary>Sums, ids and logits of all rows, one behind the other, so that they travel at once.</summary>
    private GpuBuffer? _picked;
    private int[] _pickedHere = [];

    public bool TryPickLargest(Rows x, int rows, int length, int most, LargestLogits largest)
    {
        if (most > PickCode.Most)
        {
            return false;
        }

        most = Math.Min(most, length);
        int sums = rows * 3, all = sums + (2 * rows * most);
        Ensure(ref _picked, (long)all * sizeof(int));
        ArrayView<float> floats = _picked!.View.Cast<float>();
        ArrayView<int> ids = _picked.View.Cast<int>().SubView(sums, rows * most);
        _launch.Pick(_stream, Groups(rows), _memory.Rows(x), new RowsView(floats, 3), ids, floats.SubView(sums + (rows * most), rows * most), rows, length, most);
        if (_pickedHere.Length < all)
        {
            _pickedHere = new int[all];
        }

        Span<int> here = _pickedHere.AsSpan(0, all);
        _staging.Download(_picked.View, here);
        Span<float> values = MemoryMarshal.Cast<int, float>(here);
        largest.Reserve(rows, most);
        for (int row = 0; row < rows; row++)
        {
            int count = (int)values[(row * 3) + 2];
            float normaliser = values[row * 3] + MathF.Log(values[(row * 3) + 1]);
            largest.Set(row, normaliser, here.Slice(sums + (row * most), count), values.Slice(sums + (rows * most) + (row * most), count));
        }

        here.Clear();
        return true;
    }
}
