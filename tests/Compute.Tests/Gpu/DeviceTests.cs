using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Gpu;
using Lamina.Compute.Gpu.Weights;

namespace Lamina.Compute.Tests.Gpu;

public sealed class DeviceTests
{
    [Theory]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("CPU")]
    public void Open_AnotherName_IsRefusedWithTheNames(string name)
    {
        Assert.False(ComputeDevice.IsName(name));
        Assert.Contains("auto, cpu or cuda:N", Assert.Throws<ArgumentException>(() => ComputeDevice.Open(name)).Message);
    }

    [Fact]
    public void Open_AutoWithoutADriver_IsTheProcessor()
    {
        Assert.SkipWhen(File.Exists("/dev/nvidiactl"), "this machine has NVIDIA's driver");
        Assert.Same(ComputeDevice.Cpu, ComputeDevice.Open("auto"));
    }

    [Fact]
    public void Lease_HeldByAnother_IsRefusedUntilItEnds()
    {
        string address = $"test-{Guid.NewGuid():N}";
        using (GpuLease.Take("cuda:0", address))
        {
            Assert.Contains("in use by another process", Assert.Throws<NotSupportedException>(() => GpuLease.Take("cuda:0", address)).Message);
        }

        GpuLease.Take("cuda:0", address).Dispose();
        File.Delete(Path.Combine(Path.GetTempPath(), $"lamina-gpu-{address}.lock"));
    }

    /// <summary>Weights take on the device what they take in the file, but for scales that are spread out.</summary>
    [Theory]
    [InlineData(GgmlType.F32, 1.0)]
    [InlineData(GgmlType.F16, 1.0)]
    [InlineData(GgmlType.BF16, 1.0)]
    [InlineData(GgmlType.Q4_0, 1.0)]
    [InlineData(GgmlType.Q8_0, 1.0)]
    [InlineData(GgmlType.Q4_K, 1.03)]
    [InlineData(GgmlType.Q5_K, 1.03)]
    [InlineData(GgmlType.Q6_K, 1.0)]
    [InlineData(GgmlType.IQ4_XS, 1.02)]
    [InlineData(GgmlType.MXFP4, 1.06)]
    public void Bytes_OfAWideMatrix_AreThoseOfTheFile(GgmlType type, double ratio) =>
        Assert.InRange(GpuLayout.Of(type).Bytes(4096, 4096), 1, (long)(ratio * GgmlTypes.ByteLength(type, 4096 * 4096)));
}
