using System.Buffers.Binary;
using System.Text.Json.Nodes;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary><c>lamina model</c> and the process in which it has untrusted files parsed.</summary>
public sealed class ModelCommandTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private readonly TemporaryFolder _folder = new();

    private string Store => Path.Combine(_folder.Path, "store");

    public void Dispose() => _folder.Dispose();

    [Trait("Attack", "H1")]
    [Trait("Attack", "H2")]
    [Trait("Attack", "M2")]
    [Fact]
    public async Task Model_AddedSignedDamagedAndRemoved_IsWhatTheListSays()
    {
        string model = Repository.File("models/lamina-tiny-q8_0.gguf"), key = Path.Combine(_folder.Path, "key");
        await RunAsync(0, "model", "add", model, "--name", "tiny", "--store", Store);
        Assert.Contains("untrusted", await RunAsync(0, "model", "list", "--store", Store), StringComparison.Ordinal);
        await RunAsync(0, "model", "key", key);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));
        await RunAsync(0, "model", "sign", "tiny", "--key", key, "--store", Store);
        Assert.Matches("tiny +trusted", await RunAsync(0, "model", "list", "--store", Store, "--signing-key", key + ".pub"));
        Assert.Contains("as its digest says", await RunAsync(0, "model", "verify", "--store", Store), StringComparison.Ordinal);

        Assert.Contains("of a key that is not known here", await RunAsync(0, "model", "verify", "tiny", "--store", Store), StringComparison.Ordinal);
        Assert.Contains("valid", await RunAsync(0, "model", "verify", "tiny", "--store", Store, "--signing-key", key + ".pub"), StringComparison.Ordinal);

        // Another key's word is asked for, and nobody gave it.
        await RunAsync(0, "model", "key", key + "2");
        Assert.Contains("NOT SIGNED", await RunAsync(1, "model", "verify", "tiny", "--store", Store, "--signing-key", key + "2.pub"), StringComparison.Ordinal);

        string kept = Directory.EnumerateFiles(Path.Combine(Store, "local", "files"), "*.gguf").Single();
        File.SetUnixFileMode(kept, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using (FileStream file = File.OpenWrite(kept))
        {
            file.Position = file.Length - 4000;
            file.WriteByte(0x55);
            file.WriteByte(0xAA);
        }

        Assert.Contains("DAMAGED: tensor", await RunAsync(1, "model", "verify", "--store", Store), StringComparison.Ordinal);
        await RunAsync(0, "model", "remove", "tiny", "--store", Store);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(Store, "local"), "*", SearchOption.AllDirectories));
    }

    /// <summary>A signature travels beside its file; one that was altered, or lies beside another model, is found.</summary>
    [Trait("Attack", "H2")]
    [Fact]
    public async Task Verify_FileWithASignatureBesideIt_IsJudgedByTheKey()
    {
        string model = Path.Combine(_folder.Path, "copy.gguf"), key = Path.Combine(_folder.Path, "key"), signature = model + ".sig";
        File.Copy(Repository.File("models/lamina-tiny-q8_0.gguf"), model);
        await RunAsync(0, "model", "key", key);
        Assert.Contains("NOT SIGNED", await RunAsync(1, "model", "verify", model, "--signing-key", key + ".pub"), StringComparison.Ordinal);
        await RunAsync(0, "model", "sign", model, "--key", key);
        Assert.Contains("valid", await RunAsync(0, "model", "verify", model, "--signing-key", key + ".pub"), StringComparison.Ordinal);

        JsonNode sound = JsonNode.Parse(await File.ReadAllTextAsync(signature))!;
        byte[] value = Convert.FromBase64String(sound["value"]!.GetValue<string>());
        value[10] ^= 1;
        sound["value"] = Convert.ToBase64String(value);
        await File.WriteAllTextAsync(signature, sound.ToJsonString());
        Assert.Contains("BAD", await RunAsync(1, "model", "verify", model, "--signing-key", key + ".pub"), StringComparison.Ordinal);

        File.Delete(signature);
        await RunAsync(0, "model", "sign", model, "--key", key);
        using (FileStream file = File.OpenWrite(model))
        {
            file.Position = file.Length - 4000;
            file.WriteByte(0x55);
            file.WriteByte(0xAA);
        }

        Assert.Contains("BAD", await RunAsync(1, "model", "verify", model, "--signing-key", key + ".pub"), StringComparison.Ordinal);
    }

    /// <summary>A hundred gigabytes that a header claims are refused by the shipping executable at once, in the sandbox.</summary>
    [Trait("Attack", "M3")]
    [Trait("Attack", "A4")]
    [Fact]
    public async Task Add_HeaderThatClaimsMoreThanItsFile_IsRefusedInASentence()
    {
        byte[] file = await File.ReadAllBytesAsync(Repository.File("models/lamina-tiny-q8_0.gguf"));
        int name = file.AsSpan().IndexOf("token_embd.weight"u8);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(name + "token_embd.weight".Length + 4 + 8), 100L << 30);
        string path = Path.Combine(_folder.Path, "huge.gguf");
        await File.WriteAllBytesAsync(path, file);
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, "model", "add", path, "--store", Store);
        Assert.Equal(1, process.ExitCode);
        Assert.Contains("the untrusted model was refused: tensor", process.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(Store, "local", "files")));
    }

    [Trait("Attack", "M1")]
    [Fact]
    public async Task CheckModel_HasNeitherNetworkNorProgramsNorMuchMemory()
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, "check-model", Repository.File("models/lamina-tiny-q8_0.gguf"));
        JsonNode result = JsonNode.Parse(process.Output)!;
        Assert.True(result["MemoryLimited"]!.GetValue<bool>());
        Assert.True(result["DoorsClosed"]!.GetValue<bool>());
        Assert.Null(result["Problem"]?.GetValue<string>());
        Assert.Equal(64, result["HeaderSha256"]!.GetValue<string>().Length);
    }

    [Trait("Attack", "D2")]
    [Theory]
    [InlineData(2, "need 1 times --sha256", "https://127.0.0.1:1/m.gguf")]
    [InlineData(2, "is no address", "http://127.0.0.1:1/m.gguf", "--sha256", "0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData(1, "cannot be asked", "https://127.0.0.1:1/m.gguf", "--sha256", "0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData(1, "not a regular file", "/dev/zero")]
    public async Task Add_SourceThatCannotBe_IsASentence(int exitCode, string expected, params string[] source)
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, ["model", "add", .. source, "--store", Store]);
        Assert.Equal(exitCode, process.ExitCode);
        Assert.Contains(expected, process.Error, StringComparison.Ordinal);
    }

    private static async Task<string> RunAsync(int exitCode, params string[] arguments)
    {
        using LaminaProcess process = await LaminaProcess.RunAsync(s_limit, arguments);
        Assert.True(process.ExitCode == exitCode, $"{string.Join(' ', arguments)}: {process.ExitCode}\n{process.Output}\n{process.Error}");
        return process.Output;
    }
}
