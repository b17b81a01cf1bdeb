using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Gpu.Code;
using Lamina.Compute.Gpu.Weights;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Compute.Gpu;

/// <summary>An accelerator of this process: an NVIDIA GPU, or ILGPU's emulation of one on the processor.</summary>
internal sealed partial class GpuDevice : ComputeDevice
{
    private readonly Context _context;
    private readonly Accelerator _accelerator;
    private readonly LaunchProfile _profile;
    private readonly GpuLease? _lease;

    private GpuDevice(string name, string description, Context context, Accelerator accelerator, LaunchProfile profile, GpuLease? lease)
    {
        Name = name;
        Description = description;
        _context = context;
        _accelerator = accelerator;
        _profile = profile;
        _lease = lease;
    }

    public override string Name { get; }

    public override string Description { get; }

    public override long MemoryBytes => IsCuda ? _accelerator.MemorySize : EmulatedBytes;

    public override long FreeBytes => IsCuda ? FreeCudaBytes() : EmulatedBytes;

    public override double MemoryBytesPerSecond => IsCuda ? _speed ??= CopySpeed.Measure(_accelerator) : 0;

    private double? _speed;

    /// <summary>Sensors, or null.</summary>
    private Nvml? _nvml;

    public override DeviceReading? Read() => _nvml?.Read();

    private bool IsCuda => _accelerator.AcceleratorType == AcceleratorType.Cuda;

    /// <summary>What the emulation claims to have: enough for the models of tests.</summary>
    private const long EmulatedBytes = 1L << 30;

    /// <summary>ILGPU's processor accelerator; its threads meet slowly, so that they work alone wherever a kernel allows it.</summary>
    public static GpuDevice OpenEmulated()
    {
        Context context = Context.Create(builder => builder.CPU(new CPUDevice(2, 1, 1)).Optimize(OptimizationLevel.O2));
        return new GpuDevice("ilgpu-cpu", "ILGPU on the processor, for tests", context, context.CreateCPUAccelerator(0, CPUAcceleratorMode.Parallel), EmulatedProfile, null);
    }

    /// <summary>For groups of two threads.</summary>
    public static LaunchProfile EmulatedProfile { get; } = new(GroupThreads: 2, MaxGroups: 1, TileInputs: int.MaxValue, LargeTiles: false, SplitUnits: 64);

    /// <summary>For CUDA.</summary>
    public static LaunchProfile CudaProfile { get; } = new(GroupThreads: 128, MaxGroups: 1 << 20, TileInputs: 16, LargeTiles: true, SplitUnits: 1024);

    public override void Dispose()
    {
        _accelerator.Dispose();
        _context.Dispose();
        _lease?.Dispose();
        base.Dispose();
    }

    internal override IKernels CreateKernels(WorkerTeam team) => IsCuda
        ? new GpuKernels<WarpTeam, GroupTeam>(_accelerator, _profile, team)
        : new GpuKernels<SoloTeam, SoloTeam>(_accelerator, _profile, team);

    internal override long LoadedBytes(in TensorView tensor) =>
        tensor.Dimensions.Count == 1 ? tensor.Columns * sizeof(float) : GpuLayout.Of(tensor.Type).Bytes(tensor.Rows, tensor.Columns);

    internal override long WorkspaceBytes(BufferSizes sizes) => GpuKernels<WarpTeam, GroupTeam>.WorkspaceBytes(sizes, _profile);

    internal override void Check(ModelShape shape, LayerRange layers, StageOptions options)
    {
        if (options.KvType is not (GgmlType.F16 or GgmlType.Q8_0))
        {
            throw new NotSupportedException($"a key/value cache of type {options.KvType} is not supported on {Name}; F16 and Q8_0 are");
        }

        if (shape.Layers.Any(layer => layer.FeedForward.Experts is { Groups: > 64 }))
        {
            throw new NotSupportedException($"more than 64 groups of experts are not supported on {Name}");
        }
    }
}
