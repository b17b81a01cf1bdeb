using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace Lamina.Compute.Gpu;

internal sealed partial class GpuDevice
{
    /// <summary>First compute capability that has all the instructions: shuffles by mask and products of bytes.</summary>
    private const int LeastMajor = 7;

    /// <summary>The first GPU, or null when it cannot be used.</summary>
    public static GpuDevice? TryOpenFirst()
    {
        try
        {
            return OpenCuda(0);
        }
        catch (NotSupportedException)
        {
            return null;
        }
    }

    /// <summary>Throws <see cref="NotSupportedException"/> when driver or device are missing, too old, or in use by another process.</summary>
    public static GpuDevice OpenCuda(int number)
    {
        string name = $"cuda:{number}";
        if (!CudaDriver.IsInstalled)
        {
            throw new NotSupportedException($"{name} needs NVIDIA's driver; {CudaDriver.Library} is not on this machine");
        }

        Context? context = null;
        GpuLease? lease = null;
        try
        {
            context = Context.Create(builder => builder.Cuda().Optimize(OptimizationLevel.O2));
            Context.DeviceCollection<CudaDevice> devices = context.GetCudaDevices();
            if (number >= devices.Count)
            {
                throw new NotSupportedException(devices.Count == 0 ? $"{name} is not there: the driver finds no GPU" : $"{name} is not there: the machine has cuda:0 to cuda:{devices.Count - 1}");
            }

            CudaDevice device = devices[number];
            (int major, int minor) = (device.Architecture?.Major ?? 0, device.Architecture?.Minor ?? 0);
            if (major < LeastMajor)
            {
                throw new NotSupportedException($"{name} ({device.Name}) has compute capability {major}.{minor}, needed is {LeastMajor}.0 or above");
            }

            lease = GpuLease.Take(name, $"{device.PCIDomainId:x4}-{device.PCIBusId:x2}-{device.PCIDeviceId:x2}");
            string description = $"{device.Name}, {device.MemorySize >> 20} MiB, compute capability {major}.{minor}";
            return new GpuDevice(name, description, context, device.CreateCudaAccelerator(context), CudaProfile, lease) { _nvml = Nvml.TryOpen(device.NVMLPCIBusId) };
        }
        catch (Exception e)
        {
            lease?.Dispose();
            context?.Dispose();
            throw e is NotSupportedException ? e : new NotSupportedException($"{name} cannot be opened: {e.Message}", e);
        }
    }

    private long FreeCudaBytes()
    {
        _accelerator.Bind();
        return CudaAPI.CurrentAPI.GetMemoryInfo(out long free, out _) == CudaError.CUDA_SUCCESS ? free : 0;
    }
}
