using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Lamina.Compute.Devices;
using Lamina.Compute.Gpu;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Tests.Gpu;

/// <summary>The processor's fastest variant.</summary>
public sealed class CpuConformanceTests : KernelConformance
{
    private protected override IKernels Create(WorkerTeam team) => CpuKernels.For(team);
}

/// <summary>A GPU's kernels on ILGPU's processor accelerator, threads working alone as stages there do; large inputs tile by tile.</summary>
public sealed class EmulatedConformanceTests : EmulatedConformance
{
    private protected override CPUDevice Device => new(2, 1, 1);

    private protected override IKernels Create(Accelerator accelerator, WorkerTeam team) =>
        new GpuKernels<SoloTeam, SoloTeam>(accelerator, GpuDevice.EmulatedProfile with { TileInputs = 16, SplitUnits = 8 }, team);
}

/// <summary>The same with warps of four threads in groups of eight, as on a GPU, where a team shares its sums; attention split along the context.</summary>
public sealed class WarpConformanceTests : EmulatedConformance
{
    protected override int Rows => 3;

    // Tiles do not depend on teams.
    protected override int[] Counts => [1, 3];

    private protected override CPUDevice Device => new(4, 2, 1);

    private protected override IKernels Create(Accelerator accelerator, WorkerTeam team) =>
        new GpuKernels<WarpTeam, GroupTeam>(accelerator, new LaunchProfile(GroupThreads: 8, MaxGroups: 2, TileInputs: 16, LargeTiles: false, SplitUnits: 64), team);
}

/// <summary>NVIDIA's first GPU.</summary>
public sealed class CudaConformanceTests : KernelConformance
{
    private readonly ComputeDevice? _device;

    public CudaConformanceTests()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("LAMINA_TEST_CUDA") == "1", "set LAMINA_TEST_CUDA=1 on a machine with an NVIDIA GPU");
        _device = ComputeDevice.Open("cuda:0");
    }

    private protected override IKernels Create(WorkerTeam team) => _device!.CreateKernels(team);

    private protected override void Close() => _device?.Dispose();
}

public abstract class EmulatedConformance : KernelConformance
{
    // One of each kind for the process: what a kernel costs to build is paid once.
    private static readonly Lock s_gate = new();
    private static readonly Dictionary<int, Accelerator> s_accelerators = [];

    private protected abstract CPUDevice Device { get; }

    private protected abstract IKernels Create(Accelerator accelerator, WorkerTeam team);

    private protected override IKernels Create(WorkerTeam team)
    {
        lock (s_gate)
        {
            if (!s_accelerators.TryGetValue(Device.WarpSize, out Accelerator? accelerator))
            {
                Context context = Context.Create(builder => builder.CPU(Device).Optimize(OptimizationLevel.O2));
                s_accelerators[Device.WarpSize] = accelerator = context.CreateCPUAccelerator(0, CPUAcceleratorMode.Parallel);
            }

            return Create(accelerator, team);
        }
    }
}
