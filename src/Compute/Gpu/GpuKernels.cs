using ILGPU;
using ILGPU.Runtime;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Memory;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Compute.Gpu;

/// <summary>
/// The operations of a stage on an accelerator, launched one after the other on a stream of its own; the host runs ahead and waits only where values come back. Nothing is
/// allocated in a step once the workspaces have their size.
/// </summary>
/// <typeparam name="TTeam">Who works on an output of a matrix or a head of attention.</typeparam>
/// <typeparam name="TRow">Who works on a row of a norm.</typeparam>
internal sealed unsafe partial class GpuKernels<TTeam, TRow> : IKernels
    where TTeam : struct, ITeam
    where TRow : struct, ITeam
{
    private const long StagingBytes = 8L << 20;

    private readonly Accelerator _accelerator;
    private readonly LaunchProfile _profile;
    private readonly WorkerTeam _team;
    private readonly AcceleratorStream _stream;
    private readonly GpuMemory _memory;
    private readonly HostStaging _staging;
    private readonly GpuBuffer _nothing;
    private readonly RowLaunchers<TTeam, TRow> _launch;

    /// <param name="team">Packs weights.</param>
    public GpuKernels(Accelerator accelerator, LaunchProfile profile, WorkerTeam team)
    {
        _accelerator = accelerator;
        _profile = profile;
        _team = team;
        accelerator.Bind();
        _stream = accelerator.CreateStream();
        _memory = new GpuMemory(accelerator, _stream);
        _staging = new HostStaging(accelerator, _stream, StagingBytes);
        _nothing = _memory.Allocate(16);
        _launch = new RowLaunchers<TTeam, TRow>(accelerator);
    }

    public bool SharesHostMemory => false;

    private ArrayView<float> NoFloats => _nothing.View.Cast<float>().SubView(0, 0);

    private ArrayView<int> NoIntegers => _nothing.View.Cast<int>().SubView(0, 0);

    public void Begin() => _accelerator.Bind();

    public void Dispose()
    {
        _accelerator.Bind();
        _stream.Synchronize();
        _owned.ForEach(buffer => buffer.Dispose());
        _nothing.Dispose();
        _staging.Dispose();
        _mirror?.Dispose();
        _stream.Dispose();
    }

    /// <summary>Groups for so many units of work, one for each thread.</summary>
    private KernelConfig Threads(long units) => Groups((units + _profile.GroupThreads - 1) / _profile.GroupThreads);

    /// <summary>Groups for so many units of work, one for each team.</summary>
    private KernelConfig Teams(long units)
    {
        int teams = typeof(TTeam) == typeof(SoloTeam) ? _profile.GroupThreads : _profile.GroupThreads / _accelerator.WarpSize;
        return Groups((units + teams - 1) / teams);
    }

    /// <summary>Groups for so many rows.</summary>
    private KernelConfig RowTeams(long rows) => typeof(TRow) == typeof(GroupTeam) ? Groups(rows) : Threads(rows);

    private KernelConfig Groups(long groups) => new((int)Math.Clamp(groups, 1, _profile.MaxGroups), _profile.GroupThreads);
}
