using System.Net.Sockets;
using System.Text;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Cells;

/// <summary>What a streamed token costs the heap from the tail's sampler to the caller's socket: two nodes, links, router and HTTP, all in this process.</summary>
[Collection(nameof(AloneInTheProcess))]
public sealed class StreamAllocationTests : IAsyncLifetime
{
    private const int Short = 200;
    private const int Long = 1800;
    private const int Kept = 64;

    /// <summary>Bytes. Seen: 3,740.</summary>
    private const double MostPerToken = 8_000;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-allocations-").FullName;
    private readonly byte[] _received = new byte[64 << 10];
    private TestCell _cell = null!;

    public async ValueTask InitializeAsync()
    {
        string path = Path.Combine(_folder, "long.gguf");
        ModelSynthesizer.Write(path, new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0));
        _cell = await TestCell.StartAsync(new ModelOptions { Name = "long", Path = path, Nodes = 2, ContextLength = 2048 }, "node-1", "node-2");
        await _cell.ReadyAsync("long");
    }

    public async ValueTask DisposeAsync()
    {
        await _cell.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Stream_OnceWarm_AllocatesLittlePerToken()
    {
        await ReadAsync(Short);
        double least = double.MaxValue;

        // Heartbeats and samples of metrics allocate, too; the best of a few rounds has the fewest.
        for (int round = 0; round < 3; round++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            await ReadAsync(Short);
            long between = GC.GetTotalAllocatedBytes(precise: true);
            await ReadAsync(Long);
            long after = GC.GetTotalAllocatedBytes(precise: true);
            least = Math.Min(least, (double)(after - between - (between - before)) / (Long - Short));
        }

        TestContext.Current.TestOutputHelper!.WriteLine($"{least:0} bytes a token");
        Assert.InRange(least, 0, MostPerToken);
    }

    /// <summary>Asks for a stream of so many tokens and takes it to its end, with nothing allocated for what comes.</summary>
    private async Task ReadAsync(int tokens)
    {
        string body = $$"""{"model":"long","prompt":[1,2,3],"max_tokens":{{tokens}},"min_tokens":{{tokens}},"temperature":0,"stream":true}""";
        Uri address = _cell.Http.BaseAddress!;
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(address.Host, address.Port);
        await socket.SendAsync(Encoding.ASCII.GetBytes(
            $"POST /v1/completions HTTP/1.1\r\nHost: {address.Authority}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        int kept = 0, events = 0;
        for (int read; (read = await socket.ReceiveAsync(_received.AsMemory(kept))) > 0;)
        {
            int all = kept + read;
            for (int at = 0; _received.AsSpan(at, all - at).IndexOf("data: {"u8) is >= 0 and int next; at += next + 7)
            {
                events += at + next + 7 > kept ? 1 : 0;
            }

            // What a border between two reads has cut is seen with the next.
            kept = Math.Min(all, Kept);
            _received.AsSpan(all - kept, kept).CopyTo(_received);
        }

        Assert.Contains("[DONE]", Encoding.ASCII.GetString(_received, 0, kept), StringComparison.Ordinal);
        Assert.True(events > tokens / 4, $"{events} events for {tokens} tokens");
    }
}
