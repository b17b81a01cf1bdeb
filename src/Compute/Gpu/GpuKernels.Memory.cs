using ILGPU;
using ILGPU.Runtime;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Compute.Gpu;

internal sealed unsafe partial class GpuKernels<TTeam, TRow>
{
    private readonly List<GpuBuffer> _owned = [];

    /// <summary>Rows that the host asked to see, and where they lie on the device; null when they have changed since.</summary>
    private NativeBuffer? _mirror;
    private float* _mirrored;

    public IBuffer Allocate(long bytes) => _memory.Allocate(bytes);

    public void Reserve(BufferSizes sizes, KvCache cache)
    {
        int uses = sizes.Rows * sizes.Used;
        ReserveInput(sizes.Rows, sizes.Inputs);
        ReserveInput(uses, sizes.ExpertLength);
        Ensure(ref _ids, (long)sizes.Rows * sizeof(int));
        Ensure(ref _partial, (long)_profile.SplitUnits * PartialSpans * (sizes.ValueLength + 2) * sizeof(float));
        if (uses > 0)
        {
            ReserveUses(sizes.Rows, sizes.Experts, sizes.Used);
        }
    }

    /// <summary>Device memory that <see cref="Reserve"/> takes.</summary>
    public static long WorkspaceBytes(BufferSizes sizes, LaunchProfile profile)
    {
        long uses = (long)sizes.Rows * sizes.Used;
        long inputs = Math.Max((sizes.Inputs + 31L) / 32 * sizes.Rows, (sizes.ExpertLength + 31L) / 32 * uses) * 40;
        return inputs + (sizes.Rows * 4L) + ((long)profile.SplitUnits * PartialSpans * (sizes.ValueLength + 2) * 4) + (uses * 20) + ((long)sizes.Rows * sizes.Experts * 4);
    }

    public void Upload(ReadOnlySpan<float> source, Rows y, int rows, int length)
    {
        _mirrored = null;
        if (y.Stride == length)
        {
            _staging.Upload(source[..(rows * length)], _memory.From(y.First));
            return;
        }

        for (int row = 0; row < rows; row++)
        {
            _staging.Upload(source.Slice(row * length, length), _memory.From(y[row]));
        }
    }

    public void Upload(ReadOnlySpan<int> source, int* destination)
    {
        if (!source.IsEmpty)
        {
            _staging.Upload(source, _memory.From(destination));
        }
    }

    public void Download(Rows x, int rows, int length, Span<float> destination)
    {
        if (x.Stride == length)
        {
            _staging.Download(_memory.From(x.First), destination[..(rows * length)]);
            return;
        }

        for (int row = 0; row < rows; row++)
        {
            _staging.Download(_memory.From(x[row]), destination.Slice(row * length, length));
        }
    }

    public Span<float> View(Rows x, int row, int rows, int length)
    {
        long bytes = (long)rows * length * sizeof(float);
        if (_mirror is null || _mirror.Bytes < bytes)
        {
            _mirror?.Dispose();
            _mirror = new NativeBuffer(bytes);
            _mirrored = null;
        }

        if (_mirrored != x.First)
        {
            Download(x, rows, length, new Span<float>(_mirror.Pointer, checked(rows * length)));
            _mirrored = x.First;
        }

        return new Span<float>((float*)_mirror.Pointer + ((long)row * length), length);
    }

    public void Clear(byte* address, long bytes)
    {
        _accelerator.Bind();
        _memory.From(address).SubView(0, bytes).MemSetToZero(_stream);
    }

    public void CopyBytes(byte* source, byte* destination, long bytes)
    {
        _accelerator.Bind();
        _memory.From(source).SubView(0, bytes).CopyTo(_stream, _memory.From(destination).SubView(0, bytes));
    }

    /// <summary>A buffer of the workspace that is at least so large.</summary>
    private void Ensure(ref GpuBuffer? buffer, long bytes)
    {
        if (buffer is null || buffer.Bytes < bytes)
        {
            if (buffer is not null)
            {
                _owned.Remove(buffer);
                buffer.Dispose();
            }

            buffer = _memory.Allocate(bytes);
            _owned.Add(buffer);
        }
    }
}
