using System.Buffers.Binary;
using System.Diagnostics;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests;

/// <summary>Malformed model files given to the shipping executable: a sentence within two seconds, never a crash. The mutations by the thousand run in the Compute suite.</summary>
public sealed class HostileFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;

    [Trait("Attack", "A1")]
    [Theory]
    [InlineData("empty")]
    [InlineData("wrong magic")]
    [InlineData("huge tensor count")]
    [InlineData("huge key count")]
    [InlineData("truncated header")]
    [InlineData("truncated data")]
    [InlineData("not a file")]
    public async Task Run_MalformedModel_Exits1WithASentence(string damage)
    {
        string path = Path.Combine(_folder, "model.gguf");
        Write(path, damage);
        long started = Stopwatch.GetTimestamp();
        using LaminaProcess process = await LaminaProcess.RunAsync(TimeSpan.FromSeconds(120), "run", path, "-p", "x");
        Assert.Equal(1, process.ExitCode);
        Assert.StartsWith("lamina: ", process.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("internal error", process.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", process.Error, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(60));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Write(string path, string damage)
    {
        byte[] model = File.ReadAllBytes(Repository.File("models/lamina-tiny-q8_0.gguf"));
        const int tensorCountAt = 8;
        const int keyCountAt = 16;
        switch (damage)
        {
            case "empty":
                model = [];
                break;
            case "wrong magic":
                model[0] ^= 0xFF;
                break;
            case "huge tensor count":
                BinaryPrimitives.WriteUInt64LittleEndian(model.AsSpan(tensorCountAt), ulong.MaxValue);
                break;
            case "huge key count":
                BinaryPrimitives.WriteUInt64LittleEndian(model.AsSpan(keyCountAt), 1UL << 40);
                break;
            case "truncated header":
                model = model[..5000];
                break;
            case "truncated data":
                model = model[..^4096];
                break;
            case "not a file":
                Directory.CreateDirectory(path);
                return;
        }

        File.WriteAllBytes(path, model);
    }
}
