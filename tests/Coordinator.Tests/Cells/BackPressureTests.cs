using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Lamina.Cluster.Messages;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>A reader that takes nothing makes its generation's node stop computing it, and only it.</summary>
public sealed class BackPressureTests : IAsyncLifetime
{
    private const int Tokens = 2000;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-slow-").FullName;
    private TestCell _cell = null!;

    public async ValueTask InitializeAsync()
    {
        string path = Path.Combine(_folder, "long.gguf");
        ModelSynthesizer.Write(path, new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0));
        _cell = await TestCell.StartAsync(new ModelOptions { Name = "long", Path = path, Nodes = 1, ContextLength = 2048 }, "node-1");
        await _cell.ReadyAsync("long");
    }

    public async ValueTask DisposeAsync()
    {
        await _cell.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stream_NotRead_PausesItsGenerationOnTheNodeAndGoesOnWhenItIsRead(bool kept)
    {
        string body = $$"""{"model":"long","prompt":[1,2,3],"max_tokens":{{Tokens}},"min_tokens":{{Tokens}},"temperature":1,"seed":4,"logprobs":20,"stream":true}""";
        using var slow = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        Uri address = _cell.Http.BaseAddress!;
        await slow.ConnectAsync(address.Host, address.Port);
        await slow.SendAsync(Encoding.ASCII.GetBytes(
            $"POST /v1/completions HTTP/1.1\r\nHost: {address.Authority}\r\nConnection: close\r\n{(kept ? "Idempotency-Key: slow\r\n" : "")}Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));

        // The head has work that it began, and does none of it.
        await UntilAsync(load => load is { Running: 1, TokensPerSecond: 0 } && HasGenerated(load));

        // Others are answered all the while.
        JsonElement other = await _cell.PostAsync("/v1/completions", """{"model":"long","prompt":[5,6],"max_tokens":50,"min_tokens":50}""");
        Assert.Equal(50, other.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        await UntilAsync(load => load is { Running: 1, TokensPerSecond: 0 });

        // From here on a quick reader: through four kilobytes at a time the rest takes half a minute, most of it waiting for acknowledgements.
        slow.ReceiveBufferSize = 1 << 20;
        using var reader = new StreamReader(new NetworkStream(slow));
        string events = await reader.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(180));
        Assert.Contains("[DONE]", events, StringComparison.Ordinal);
        string text = string.Concat(events.Split('\n').Where(line => line.StartsWith("data: {", StringComparison.Ordinal)).Select(line => JsonDocument.Parse(line[6..]).RootElement.GetProperty("choices")[0].GetProperty("text").GetString()));
        JsonElement whole = await _cell.PostAsync("/v1/completions", body.Replace(",\"stream\":true", "", StringComparison.Ordinal));
        Assert.Equal(whole.GetProperty("choices")[0].GetProperty("text").GetString(), text);
    }

    [Fact]
    public async Task Stream_AbandonedUnread_FreesThePlacesOfAllItsChoices()
    {
        string body = $$"""{"model":"long","prompt":[1,2,3],"max_tokens":{{Tokens}},"min_tokens":{{Tokens}},"temperature":1,"logprobs":20,"stream":true,"n":6}""";
        using (var slow = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096, LingerState = new LingerOption(true, 0) })
        {
            Uri address = _cell.Http.BaseAddress!;
            await slow.ConnectAsync(address.Host, address.Port);
            await slow.SendAsync(Encoding.ASCII.GetBytes(
                $"POST /v1/completions HTTP/1.1\r\nHost: {address.Authority}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
            await UntilAsync(load => load is { Running: 6, TokensPerSecond: 0 } && HasGenerated(load));
        }

        await UntilAsync(load => load is { Running: 0, Waiting: 0 } && _cell.Cell.LoadOf("long", out int active).Running + active == 0);
    }

    /// <summary>Whether every running generation has filled a block of its cache. A rate above zero may come and go unseen; what is in the cache stays.</summary>
    private static bool HasGenerated(GenerationProtocol.HeadLoad load) => load.KvBlocks - load.FreeKvBlocks > load.Running;

    private async Task UntilAsync(Func<GenerationProtocol.HeadLoad, bool> condition)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(180));
        while (!condition(_cell.Cell.LoadOf("long", out _)))
        {
            await Task.Delay(10, deadline.Token);
        }
    }
}
