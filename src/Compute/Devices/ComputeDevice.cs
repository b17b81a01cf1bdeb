using Lamina.Compute.Gguf;
using Lamina.Compute.Gpu;
using Lamina.Compute.Kernels;
using Lamina.Compute.Model;

namespace Lamina.Compute.Devices;

/// <summary>What stages compute on. Several stages of a process may share one; it must outlive them.</summary>
public abstract class ComputeDevice : IDisposable
{
    /// <summary>Names that <see cref="Open"/> takes, for messages.</summary>
    public const string Names = "auto, cpu or cuda:N";

    /// <summary>The processor and its memory.</summary>
    public static ComputeDevice Cpu { get; } = new CpuDevice();

    /// <summary>As <see cref="Open"/> takes it.</summary>
    public abstract string Name { get; }

    /// <summary>For people: the product and what matters of it.</summary>
    public abstract string Description { get; }

    /// <summary>Memory of its own in bytes, or 0 where it uses the machine's.</summary>
    public abstract long MemoryBytes { get; }

    /// <summary>Bytes of its own memory that are free now, or 0 where it uses the machine's.</summary>
    public abstract long FreeBytes { get; }

    /// <summary>Bytes per second at which it reads its memory, measured when it was opened; 0 where it uses the machine's.</summary>
    public abstract double MemoryBytesPerSecond { get; }

    /// <summary>
    /// Opens a device: <c>cpu</c>, <c>cuda:N</c>, <c>auto</c> (the first GPU that can be used, else the processor), or <c>ilgpu-cpu</c>, the code of the GPU run by the processor,
    /// for tests. Throws <see cref="NotSupportedException"/> saying what is missing, <see cref="ArgumentException"/> for any other name.
    /// </summary>
    public static ComputeDevice Open(string name) => name switch
    {
        "cpu" => Cpu,
        "auto" => (CudaDriver.IsInstalled ? GpuDevice.TryOpenFirst() : null) ?? Cpu,
        "ilgpu-cpu" => GpuDevice.OpenEmulated(),
        _ when IsCuda(name, out int number) => GpuDevice.OpenCuda(number),
        _ => throw new ArgumentException($"'{name}' is no device; there are {Names}"),
    };

    /// <summary>True for names that <see cref="Open"/> takes, whether or not the device is there.</summary>
    public static bool IsName(string name) => name is "cpu" or "auto" or "ilgpu-cpu" || IsCuda(name, out _);

    /// <summary>What the device's sensors say now; null where it has none, or their library is missing.</summary>
    public virtual DeviceReading? Read() => null;

    public virtual void Dispose() => GC.SuppressFinalize(this);

    internal abstract IKernels CreateKernels(WorkerTeam team);

    /// <summary>Memory of the device that a tensor takes once loaded.</summary>
    internal abstract long LoadedBytes(in TensorView tensor);

    /// <summary>Memory of the device for the workspaces of steps, the model's own buffers aside.</summary>
    internal abstract long WorkspaceBytes(BufferSizes sizes);

    /// <summary>Throws <see cref="NotSupportedException"/> for options and models that the device cannot serve.</summary>
    internal abstract void Check(ModelShape shape, LayerRange layers, StageOptions options);

    private static bool IsCuda(string name, out int number)
    {
        number = 0;
        return name == "cuda" || (name.StartsWith("cuda:", StringComparison.Ordinal)
            && int.TryParse(name.AsSpan(5), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out number) && number < 1024);
    }

    private sealed class CpuDevice : ComputeDevice
    {
        public override string Name => "cpu";
        public override string Description => $"{Environment.ProcessorCount} processors, {CpuVariants.Chosen}";
        public override long MemoryBytes => 0;
        public override long FreeBytes => 0;
        public override double MemoryBytesPerSecond => 0;

        internal override IKernels CreateKernels(WorkerTeam team) => CpuKernels.For(team);

        internal override long LoadedBytes(in TensorView tensor) => WeightLoader.LoadedBytes(tensor);

        internal override long WorkspaceBytes(BufferSizes sizes) => 0;

        internal override void Check(ModelShape shape, LayerRange layers, StageOptions options)
        {
        }
    }
}
