using Lamina.Compute.Gguf;
using Lamina.Coordinator.Models;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Models.Trust;

[Collection(nameof(AloneInTheProcess))]
public sealed class HugeClaimTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-trust-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>A hundred gigabytes of holes, and a header that claims as much: refused by the size, before a byte is read or set aside.</summary>
    [Trait("Attack", "M3")]
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Import_ClaimOfAHundredGigabytes_IsRefusedBeforeAnythingIsAllocated(bool sparse)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs a file system with sparse files");
        const long Claimed = 100L << 30;
        string path = Path.Combine(_folder, "huge.gguf");
        byte[] header = GgufWriter.ToBytes(new GgufMetadataBuilder().Set("general.architecture", "llama").Build(), [(new GgufTensorInfo("t", GgmlType.I8, [64]), new byte[64])]);
        // The one dimension, 64, stands 8 (offset) + 4 (type) + 8 bytes before the padding; it is found by its value.
        int at = header.AsSpan().LastIndexOf("\x40\0\0\0\0\0\0\0"u8);
        BitConverter.TryWriteBytes(header.AsSpan(at), Claimed);
        await File.WriteAllBytesAsync(path, header);
        if (sparse)
        {
            using FileStream file = File.OpenWrite(path);
            file.SetLength(Claimed + header.Length);
        }

        using ModelStore store = ModelStore.Open(Path.Combine(_folder, "store"), new ModelImportOptions { MaxBytes = 2L << 30, CopyFiles = false });
        long before = GC.GetTotalAllocatedBytes(precise: true);
        Exception refusal = await Assert.ThrowsAnyAsync<Exception>(() => store.ImportAsync(path, null, CancellationToken.None));
        Assert.Contains(sparse ? "takes at most 2147483648" : "needs bytes", refusal.Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, 8 << 20);
    }
}
