using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>Requests that two parsers might read differently, and senders that never finish.</summary>
public class HostileHttpTests(TwoTenants tenants) : IClassFixture<TwoTenants>
{
    private const string Post = "POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    private const string Smuggled = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

    private Uri Server => tenants.Host.HttpAddress;

    public static TheoryData<string, string> Corpus() => new()
    {
        { "length and chunks", Post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + Smuggled },
        { "chunks and length", Post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + Smuggled },
        { "two lengths", Post + "Content-Length: 0\r\nContent-Length: 39\r\n\r\n" + Smuggled },
        { "a list of lengths", Post + "Content-Length: 0, 39\r\n\r\n" + Smuggled },
        { "a hexadecimal length", Post + "Content-Length: 0x0\r\n\r\n" + Smuggled },
        { "a negative length", Post + "Content-Length: -1\r\n\r\n" + Smuggled },
        { "a huge length", Post + "Content-Length: 99999999999999999999\r\n\r\n" + Smuggled },
        { "two encodings", Post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + Smuggled },
        { "chunked is not last", Post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + Smuggled },
        { "an unknown encoding", Post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + Smuggled },
        { "a space before the colon", Post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + Smuggled },
        { "a tab in the name", Post + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n" + Smuggled },
        { "a folded line", Post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + Smuggled },
        { "a bare line feed in a chunk's extension", Post + "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n{}\r\n0\r\n\r\n" + Smuggled },
        { "a bare carriage return in a chunk's extension", Post + "Transfer-Encoding: chunked\r\n\r\n2;a\rb\r\n{}\r\n0\r\n\r\n" + Smuggled },
        { "a bare line feed after a chunk's size", Post + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n" + Smuggled },
        { "a chunk longer than said", Post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n" + Smuggled },
        { "a negative chunk", Post + "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n" + Smuggled },
        { "a huge chunk", Post + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n" + Smuggled },
        { "a NUL in a header", "GET /health/live HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n" + Smuggled },
        { "a carriage return in a header", "GET /health/live HTTP/1.1\r\nHost: x\r\nX: a\rGET / HTTP/1.1\r\n\r\n" + Smuggled },
        { "no host", "GET /health/live HTTP/1.1\r\n\r\n" + Smuggled },
        { "two hosts", "GET /health/live HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + Smuggled },
        { "a host with a path", "GET /health/live HTTP/1.1\r\nHost: x/y\r\n\r\n" + Smuggled },
        { "version 0.9", "GET /health/live\r\n\r\n" + Smuggled },
        { "version 3", "GET /health/live HTTP/3.0\r\nHost: x\r\n\r\n" + Smuggled },
        { "HTTP/2 in clear text", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Smuggled },
        { "two spaces in the request line", "GET  /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + Smuggled },
        { "a space in the target", "GET /health/live /x HTTP/1.1\r\nHost: x\r\n\r\n" + Smuggled },
        { "a line too long", "GET /" + new string('a', 8 << 10) + " HTTP/1.1\r\nHost: x\r\n\r\n" + Smuggled },
        { "a header too long", "GET /health/live HTTP/1.1\r\nHost: x\r\nX: " + new string('a', 32 << 10) + "\r\n\r\n" + Smuggled },
        { "too many headers", "GET /health/live HTTP/1.1\r\nHost: x\r\n" + string.Concat(Enumerable.Range(0, 80).Select(i => $"X{i}: y\r\n")) + "\r\n" + Smuggled },
    };

    /// <summary>Refused, the connection closed, and what follows not read as a request.</summary>
    [Theory]
    [Trait("Attack", "D6")]
    [MemberData(nameof(Corpus))]
    public async Task Ambiguous_Request_IsRefusedAndTheConnectionClosed(string what, string bytes)
    {
        string answer = await RawHttp.SendAsync(Server, bytes.Replace("Host: x\r\nContent-Type", $"Host: x\r\nAuthorization: Bearer {tenants.Alpha.Text}\r\nContent-Type", StringComparison.Ordinal));

        // What speaks HTTP/2 is told so in its own frames.
        Assert.True(answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal) || answer.StartsWith("HTTP/1.1 5", StringComparison.Ordinal) || !answer.Contains("HTTP/", StringComparison.Ordinal), $"{what}: {answer}");
        Assert.DoesNotContain("live", answer, StringComparison.Ordinal);
        Assert.InRange(answer.Split("HTTP/1.1 ").Length - 1, 0, 1);
    }

    /// <summary>
    /// One tenant announces bodies of the largest size and sends most of each, or next to nothing: what does not fit its part is refused, and another tenant's large request is read.
    /// </summary>
    [Theory]
    [InlineData(3 << 20)]
    [InlineData(1000)]
    [Trait("Attack", "D6")]
    public async Task LargeBodies_ThatNeverEnd_TakeTheirTenantsPartAlone(int sent)
    {
        int senders = sent > 1000 ? AttackScale.Cases(24, 40) : AttackScale.Cases(100, 500);
        byte[] begin = Encoding.ASCII.GetBytes(
            $"POST /v1/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenants.Alpha.Text}\r\nContent-Type: application/json\r\nContent-Length: 4194304\r\n\r\n{new string(' ', sent)}");
        TcpClient[] slow = await Task.WhenAll(Enumerable.Range(0, senders).Select(_ => RawHttp.ConnectAsync(Server)));
        long before = GC.GetTotalMemory(forceFullCollection: true);
        try
        {
            Task<string>[] answers = [.. slow.Select(client => SendAsync(client, begin))];
            if (sent > 1000)
            {
                // 64 MiB have room for 16 of them.
                int left = senders - 16;
                await foreach (Task<string> ended in Task.WhenEach(answers).WithCancellation(TestContext.Current.CancellationToken))
                {
                    // Nothing where the connection was cut while more was sent.
                    string answer = await ended;
                    Assert.True(answer.Length == 0 || (answer.StartsWith("HTTP/1.1 429", StringComparison.Ordinal) && answer.Contains("Retry-After: 2", StringComparison.Ordinal)), answer);
                    if (--left == 0)
                    {
                        break;
                    }
                }
            }

            using HttpResponseMessage other = await tenants.SendAsync(HttpMethod.Post, "/v1/completions", tenants.Beta.Text, $$"""{"model":"none","prompt":"{{new string('x', 2 << 20)}}"}""");
            Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
            using HttpResponseMessage small = await tenants.SendAsync(HttpMethod.Post, "/v1/completions", tenants.Alpha.Text, """{"model":"none","prompt":"x"}""");
            Assert.Equal(HttpStatusCode.NotFound, small.StatusCode);
            if (AttackScale.IsFull)
            {
                long held = GC.GetTotalMemory(forceFullCollection: true) - before;
                TestContext.Current.TestOutputHelper!.WriteLine($"{senders} senders hold {held >> 10} KiB");
                Assert.True(held < 256 << 20, $"{senders} senders hold {held >> 20} MiB");
            }
        }
        finally
        {
            foreach (TcpClient client in slow)
            {
                client.Dispose();
            }
        }
    }

    /// <summary>What is answered; nothing when the connection is cut while it still sends.</summary>
    private static async Task<string> SendAsync(TcpClient client, byte[] bytes)
    {
        try
        {
            await client.GetStream().WriteAsync(bytes);
            return await RawHttp.ReadToEndAsync(client);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return "";
        }
    }

    /// <summary>Three hundred senders that trickle their headers or bodies are cut, and meanwhile others are answered.</summary>
    [Fact]
    [Trait("Attack", "D6")]
    public async Task SlowSenders_AreCutAndOthersAnswered()
    {
        const int Senders = 300;
        TcpClient[] slow = await Task.WhenAll(Enumerable.Range(0, Senders).Select(_ => RawHttp.ConnectAsync(Server)));
        try
        {
            long start = Stopwatch.GetTimestamp();
            Task<bool>[] cut = [.. slow.Select((client, number) => TrickleAsync(client, number % 2 == 0))];
            for (int i = 0; i < 20; i++)
            {
                using HttpResponseMessage response = await tenants.SendAsync(HttpMethod.Get, "/v1/models", tenants.Alpha.Text);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            }

            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60));
            Assert.All(await Task.WhenAll(cut).WaitAsync(TimeSpan.FromSeconds(180)), Assert.True);
        }
        finally
        {
            Array.ForEach(slow, client => client.Dispose());
        }
    }

    /// <summary>True once the server has ended the connection.</summary>
    private async Task<bool> TrickleAsync(TcpClient client, bool headers)
    {
        string beginning = headers
            ? "GET /v1/models HTTP/1.1\r\nHost: x\r\n"
            : $"POST /tokenize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenants.Alpha.Text}\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n{{";
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(beginning));
        Task<string> end = RawHttp.ReadToEndAsync(client);
        byte[] drop = headers ? "X: y\r\n"u8.ToArray() : " "u8.ToArray();
        try
        {
            while (!end.IsCompleted)
            {
                await client.GetStream().WriteAsync(drop);
                await Task.WhenAny(end, Task.Delay(1000));
            }
        }
        catch (IOException)
        {
            // The connection was reset.
        }

        string answer = await end;
        return answer.Length == 0 || answer.StartsWith("HTTP/1.1 408", StringComparison.Ordinal) || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal);
    }
}
