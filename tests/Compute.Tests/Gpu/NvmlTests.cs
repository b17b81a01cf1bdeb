using System.Diagnostics;
using Lamina.Compute.Devices;
using Lamina.Compute.Gpu;
using Lamina.Compute.Tests.Gguf;

namespace Lamina.Compute.Tests.Gpu;

public sealed class NvmlTests
{
    [Fact]
    public void Open_WithoutTheLibrary_GivesNoSensors() => Assert.Null(Nvml.TryOpen("00000000:1B:00.0", "libthere-is-no-such-library.so.1"));

    [Fact]
    public void Processor_HasNoSensors() => Assert.Null(ComputeDevice.Cpu.Read());

    /// <summary>A library of the documented functions, built here, in place of the driver's.</summary>
    [Fact]
    public void Read_FromALibraryOfTheSameFunctions_GivesItsFigures()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["nvml.c"], """
            #include <string.h>
            static int device;
            int nvmlInit_v2(void) { return 0; }
            int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **handle) { *handle = &device; return strcmp(id, "00000000:1B:00.0") ? 6 : 0; }
            int nvmlDeviceGetUtilizationRates(void *d, unsigned *rates) { rates[0] = 37; rates[1] = 12; return d == &device ? 0 : 2; }
            int nvmlDeviceGetMemoryInfo(void *d, unsigned long long *m) { m[0] = 1000; m[1] = 400; m[2] = 600; return 0; }
            int nvmlDeviceGetPowerUsage(void *d, unsigned *p) { *p = 250500; return 0; }
            int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *t) { *t = 61; return sensor ? 2 : 0; }
            """);
        using Process? compiler = TryStart("cc", "-shared", "-fPIC", "-o", folder["nvml.so"], folder["nvml.c"]);
        Assert.SkipWhen(compiler is null, "no C compiler on this machine");
        compiler!.WaitForExit();
        Assert.Equal(0, compiler.ExitCode);
        Assert.Null(Nvml.TryOpen("00000000:2C:00.0", folder["nvml.so"]));
        Assert.Equal(new DeviceReading(0.37, 600, 250.5, 61), Nvml.TryOpen("00000000:1B:00.0", folder["nvml.so"])!.Read());
    }

    private static Process? TryStart(string program, params string[] arguments)
    {
        try
        {
            return Process.Start(program, arguments);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }
}
