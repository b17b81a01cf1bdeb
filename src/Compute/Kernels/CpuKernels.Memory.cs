using System.Runtime.InteropServices;
using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Model;

namespace Lamina.Compute.Kernels;

/// <summary>On the CPU the device's memory is the host's: nothing is copied that need not be.</summary>
internal abstract unsafe partial class CpuKernels
{
    private ActivationRows? _inputs;
    private AttentionWorkspace? _attention;

    public bool SharesHostMemory => true;

    public void Begin()
    {
    }

    public IBuffer Allocate(long bytes) => new NativeBuffer(bytes);

    public void Reserve(BufferSizes sizes, KvCache cache)
    {
        _inputs = new ActivationRows(sizes.Rows, sizes.Inputs);
        _attention = new AttentionWorkspace(team.Workers, sizes.Rows, sizes.ValueLength, slot => (nint)cache.Table(slot));
        if (sizes.Experts > 0)
        {
            _uses = new ExpertUses(sizes);
        }
    }

    public void Upload(ReadOnlySpan<float> source, Rows y, int rows, int length)
    {
        for (int row = 0; row < rows; row++)
        {
            source.Slice(row * length, length).CopyTo(new Span<float>(y[row], length));
        }
    }

    public void Upload(ReadOnlySpan<int> source, int* destination) => source.CopyTo(new Span<int>(destination, source.Length));

    public void Download(Rows x, int rows, int length, Span<float> destination)
    {
        for (int row = 0; row < rows; row++)
        {
            new ReadOnlySpan<float>(x[row], length).CopyTo(destination.Slice(row * length, length));
        }
    }

    public Span<float> View(Rows x, int row, int rows, int length) => new(x[row], length);

    public void Clear(byte* address, long bytes) => NativeMemory.Clear(address, (nuint)bytes);

    public void CopyBytes(byte* source, byte* destination, long bytes) => Buffer.MemoryCopy(source, destination, bytes, bytes);

    public void Copy(Rows x, Rows y, int rows, int length)
    {
        for (int row = 0; row < rows; row++)
        {
            new ReadOnlySpan<float>(x[row], length).CopyTo(new Span<float>(y[row], length));
        }
    }

    public void Gather(Rows x, ReadOnlySpan<int> rows, Rows y, int length)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            new ReadOnlySpan<float>(x[rows[i]], length).CopyTo(new Span<float>(y[i], length));
        }
    }

    public void RopeFactors(Elementwise.RopeAngles angles, ReadOnlySpan<int> positions, Rows cosines, Rows sines)
    {
        fixed (int* first = positions)
        {
            RopeFactors(angles, first, positions.Length, cosines, sines);
        }
    }

    public void Attend(in AttentionLayer layer, ReadOnlySpan<int> slots) => Attend(layer, slots, _attention!);

    /// <summary>The host reads logits where they lie.</summary>
    public bool TryPickLargest(Rows x, int rows, int length, int most, LargestLogits largest) => false;

    public void Dispose()
    {
        _inputs?.Dispose();
        _attention?.Dispose();
        _uses?.Dispose();
    }
}
