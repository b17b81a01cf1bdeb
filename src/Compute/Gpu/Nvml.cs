using System.Runtime.InteropServices;
using Lamina.Compute.Devices;

namespace Lamina.Compute.Gpu;

/// <summary>Sensors of one NVIDIA GPU through the driver's management library, where that is installed.</summary>
internal sealed unsafe class Nvml
{
    private const string Library = "libnvidia-ml.so.1";
    private const int Success = 0;

    private readonly nint _device;
    private readonly delegate* unmanaged<nint, uint*, int> _utilisation;
    private readonly delegate* unmanaged<nint, ulong*, int> _memory;
    private readonly delegate* unmanaged<nint, uint*, int> _power;
    private readonly delegate* unmanaged<nint, int, uint*, int> _temperature;

    private Nvml(nint library, nint device)
    {
        _device = device;
        _utilisation = (delegate* unmanaged<nint, uint*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetUtilizationRates");
        _memory = (delegate* unmanaged<nint, ulong*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetMemoryInfo");
        _power = (delegate* unmanaged<nint, uint*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetPowerUsage");
        _temperature = (delegate* unmanaged<nint, int, uint*, int>)NativeLibrary.GetExport(library, "nvmlDeviceGetTemperature");
    }

    /// <summary>Null where the library, the GPU or one of the functions is missing.</summary>
    /// <param name="busId">The GPU's address as the driver writes it, e.g. 00000000:1B:00.0.</param>
    /// <param name="library">Path or name of the library; the driver's own when null.</param>
    public static Nvml? TryOpen(string busId, string? library = null)
    {
        if (!NativeLibrary.TryLoad(library ?? Library, out nint handle))
        {
            return null;
        }

        try
        {
            var initialise = (delegate* unmanaged<int>)NativeLibrary.GetExport(handle, "nvmlInit_v2");
            var find = (delegate* unmanaged<byte*, nint*, int>)NativeLibrary.GetExport(handle, "nvmlDeviceGetHandleByPciBusId_v2");
            nint device;
            byte[] name = [.. System.Text.Encoding.ASCII.GetBytes(busId), 0];
            fixed (byte* first = name)
            {
                return initialise() == Success && find(first, &device) == Success ? new Nvml(handle, device) : null;
            }
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }
    }

    /// <summary>What a GPU does not tell (some have no power sensor) counts as 0; null where it tells nothing.</summary>
    public DeviceReading? Read()
    {
        // Structures: utilisation { gpu, memory } in percent; memory { total, free, used } in bytes.
        uint* rates = stackalloc uint[2] { 0, 0 };
        ulong* memory = stackalloc ulong[3] { 0, 0, 0 };
        uint milliwatts = 0, degrees = 0;
        bool any = _utilisation(_device, rates) == Success;
        any |= _memory(_device, memory) == Success;
        any |= _power(_device, &milliwatts) == Success;
        any |= _temperature(_device, 0, &degrees) == Success;
        return any ? new DeviceReading(rates[0] / 100.0, (long)memory[2], milliwatts / 1000.0, degrees) : null;
    }
}
