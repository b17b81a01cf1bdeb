using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

public sealed class ChangedFileTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    /// <summary>
    /// While an answer streams, every file that the model came from or lies in is replaced, and its source shortened and deleted: the answer is the one it would have been, and no process ends or is
    /// planned around. A node that starts with altered files in its cache computes with none of them.
    /// </summary>
    [Trait("Attack", "A13")]
    [Fact]
    public async Task Files_ReplacedWhileAnAnswerStreams_ChangeNeitherItNorTheNext()
    {
        using TemporaryFolder folder = new();
        string source = Path.Combine(folder.Path, "lamina-tiny-q8_0.gguf");
        File.Copy(Repository.File("models/lamina-tiny-q8_0.gguf"), source);
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 2, plannedNodes: 2, model: source);
        JsonObject body = ChatApi.Chat(ChatApi.User("Tell me a story about a red fox in the forest."), maxTokens: AttackScale.Cases(700, 900));
        body["logit_bias"] = new JsonObject { ["2"] = -100 };
        var expected = await TimedStream.Start(cell.Http, body).Answer;
        Assert.Equal("length", expected.Finish);
        CellStatus before = await cell.StatusAsync();
        string[] stored = [.. Directory.GetFiles(Path.Combine(cell.FolderPath, "store"), "*.gguf", SearchOption.AllDirectories)];
        string[] cached = [.. new[] { "node-1", "node-2" }.SelectMany(name => Directory.GetFiles(Path.Combine(cell.FolderPath, "cache-" + name), "sha256-*", SearchOption.AllDirectories))];
        Assert.NotEmpty(stored);
        Assert.NotEmpty(cached);
        string[] digests = [.. cached.Select(DigestOf)];

        TimedStream stream = TimedStream.Start(cell.Http, body);
        await Eventually.TrueAsync(() => stream.Events >= 10, s_limit, "the stream did not start");
        using (FileStream shortened = File.OpenWrite(source))
        {
            shortened.SetLength(16);
        }

        File.Delete(source);
        File.WriteAllBytes(source, new byte[4096]);
        foreach (string file in stored.Concat(cached))
        {
            Replace(file);
        }

        Assert.False(stream.Answer.IsCompleted, "the answer had ended before its files were replaced");
        Assert.Equal(expected, await stream.Answer.WaitAsync(s_limit));
        Assert.Equal(expected, await TimedStream.Start(cell.Http, body).Answer.WaitAsync(s_limit));
        CellStatus after = await cell.StatusAsync();
        Assert.Equal((before.Epoch, before.Phase), (after.Epoch, after.Phase));
        Assert.Equal(before.Nodes.Values.Select(node => node.ProcessId).Order(), after.Nodes.Values.Select(node => node.ProcessId).Order());
        Assert.False(cell.Coordinator.HasExited);

        // The store as it was, the caches as they are now: what a node starts from is compared with its digest and fetched anew.
        foreach (string file in stored)
        {
            File.Move(file + ".kept", file, overwrite: true);
        }

        Assert.All(cached.Zip(digests), pair => Assert.NotEqual(pair.Second, DigestOf(pair.First)));
        foreach (string name in new[] { "node-1", "node-2" })
        {
            int epoch = (await cell.StatusAsync()).Epoch;
            await cell.KillAsync(name);
            await cell.WaitAsync(status => status.Epoch > epoch && status.Phase == "Ready" && !status.Stages.Contains(name), "ready without it");
            cell.StartNode(name);
            await cell.WaitAsync(status => status.Phase == "Ready" && status.Stages.Contains(name), "ready with it again");
        }

        Assert.Equal(expected, await TimedStream.Start(cell.Http, body).Answer.WaitAsync(s_limit));
        Assert.All(cached.Zip(digests).Where(pair => File.Exists(pair.First)), pair => Assert.Equal(pair.Second, DigestOf(pair.First)));
    }

    /// <summary>Another file by the same name, as whoever may write the folder puts there; every 64th byte is another.</summary>
    private static void Replace(string file)
    {
        byte[] bytes = File.ReadAllBytes(file);
        UnixFileMode mode = File.GetUnixFileMode(file);
        for (int i = 0; i < bytes.Length; i += 64)
        {
            bytes[i] ^= 0x11;
        }

        File.Move(file, file + ".kept");
        File.WriteAllBytes(file, bytes);
        File.SetUnixFileMode(file, mode);
    }

    private static string DigestOf(string file) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));
}
