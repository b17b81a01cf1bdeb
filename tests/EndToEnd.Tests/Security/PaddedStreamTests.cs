using System.Buffers.Binary;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>What somebody on the network sees of an answer that streams over HTTPS: lengths and times of TLS records, which are those of tokens unless they are padded.</summary>
public sealed partial class PaddedStreamTests(ITestOutputHelper output)
{
    private const string Padded = "padded", Plain = "plain";
    private const int BucketBytes = 1024, IntervalMilliseconds = 20, Tokens = 400;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(240);

    [Trait("Attack", "E5")]
    [Fact]
    public async Task Records_OfAPaddedStream_TellBucketsAndIntervalsInsteadOfTokens()
    {
        using TemporaryFolder folder = new();
        HttpsFiles https = new(Path.Combine(folder.Path, "https"));
        string file = Path.Combine(folder.Path, "serve.json");
        object[] models = [new { Path = Repository.File("models/lamina-tiny-q8_0.gguf") }];
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new
        {
            Serve = new
            {
                Listen = "127.0.0.1:0",
                Tls = new { https.CertificatePath, https.KeyPath },
                Tenants = new object[]
                {
                    new { Tenant = Padded, Nodes = 1, Threads = 1, Models = models, Streams = new { PadToBytes = BucketBytes, IntervalMilliseconds } },
                    new { Tenant = Plain, Nodes = 1, Threads = 1, Models = models },
                },
            },
        }));
        using LaminaProcess serve = LaminaProcess.Start("serve", "--config", file);
        Uri api = new(Address().Match(await serve.WaitForLineAsync("API at", s_limit)).Value);
        string padded = await serve.WaitForKeyAsync(Padded, s_limit), plain = await serve.WaitForKeyAsync(Plain, s_limit);
        var answers = new HashSet<string>();
        foreach (string question in new[] { "Tell me a story about a red fox in the forest.", "What is 27 + 15?" })
        {
            // Without padding nearly every token is a record of its own, and gives its length and time away.
            Heard bare = await HearAsync(api, https, plain, question);
            output.WriteLine($"plain: {bare}");
            Assert.InRange(bare.Writes.Count, Tokens / 4, Tokens + 10);
            Assert.InRange(bare.Writes.Select(write => write.Bytes).Distinct().Count(), 8, Tokens);
            Assert.NotEmpty(bare.NotOfBuckets());
            Assert.NotEmpty(bare.TooEarly());

            Heard hidden = await HearAsync(api, https, padded, question);
            output.WriteLine($"padded: {hidden}");
            Assert.Equal(bare.Answer, hidden.Answer);
            Assert.InRange(hidden.Writes.Count, 3, Tokens);
            Assert.Empty(hidden.NotOfBuckets());
            Assert.Empty(hidden.TooEarly());
            Assert.True(answers.Add(hidden.Answer));
        }
    }

    private static async Task<Heard> HearAsync(Uri api, HttpsFiles https, string key, string question)
    {
        using var eavesdropper = new Eavesdropper(api, https, key);
        return await eavesdropper.HearAsync(question);
    }

    [GeneratedRegex("https://[^/]+/")]
    private static partial Regex Address();

    /// <summary>One TLS record, or what several made of one write carry.</summary>
    /// <param name="At">Since before the request was sent.</param>
    /// <param name="Bytes">Of plain text.</param>
    private readonly record struct Sent(TimeSpan At, int Bytes);

    /// <param name="Writes">Of the body, without the response's head and the five bytes that end it.</param>
    private sealed record Heard(string Answer, IReadOnlyList<Sent> Writes)
    {
        /// <summary>A write is one chunk: its length in hexadecimal, a line end, the buckets and a line end.</summary>
        public Sent[] NotOfBuckets() => [.. Writes.Where(write => Enumerable.Range(1, 1 + (write.Bytes / BucketBytes)).All(buckets => write.Bytes != ChunkBytes(buckets)))];

        /// <summary>The server begins to count when it has the request, so that the write of the n-th interval cannot come before n intervals since it was sent.</summary>
        public Sent[] TooEarly() => [.. Writes.Where((write, i) => write.At < TimeSpan.FromMilliseconds((i + 1) * IntervalMilliseconds))];

        public override string ToString() =>
            $"{Writes.Count} writes from {Writes[0].At.TotalMilliseconds:0.0} to {Writes[^1].At.TotalMilliseconds:0.0} ms; bytes (times) "
            + string.Join(' ', Writes.CountBy(write => write.Bytes).OrderBy(size => size.Key).Select(size => $"{size.Key} ({size.Value})"));

        /// <summary>400 hexadecimal is 1024, 1000 is 4096, 10000 is 65536.</summary>
        private static int ChunkBytes(int buckets) => (buckets * 1024) + (buckets switch { < 4 => 3, < 64 => 4, _ => 5 }) + 4;
    }

    /// <summary>A client whose connection is heard below its TLS.</summary>
    private sealed class Eavesdropper : DelegatingHandler
    {
        private readonly HttpClient _http;
        private readonly List<(long At, byte[] Bytes)> _received = [];
        private int _connections;
        private int _headBytes;

        public Eavesdropper(Uri api, HttpsFiles https, string key)
        {
            var handler = new SocketsHttpHandler
            {
                ConnectCallback = async (context, cancellation) =>
                {
                    _connections++;
                    var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    await socket.ConnectAsync(context.DnsEndPoint, cancellation);
                    return new RecordingStream(socket, _received);
                },
            };
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => https.Issued(certificate);
            InnerHandler = handler;
            _http = new HttpClient(this, disposeHandler: false) { BaseAddress = api, Timeout = TimeSpan.FromMinutes(3) };
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        public async Task<Heard> HearAsync(string question)
        {
            JsonObject body = ChatApi.Chat(ChatApi.User(question), Tokens);
            body["min_tokens"] = Tokens;

            // The handshake, with the tickets that follow it, is over once something was answered; and the first token of what was asked before is soon there.
            string whole = await _http.AnswerAsync(body);
            int before = Received().Length;
            long begun = Stopwatch.GetTimestamp();
            string answer = await _http.StreamAsync(body);
            Assert.Equal((1, whole), (_connections, answer));
            Sent[] writes = [.. Writes(Records(before, begun))];
            Assert.Equal("0\r\n\r\n".Length, writes[^1].Bytes);
            return new Heard(answer, [writes[0] with { Bytes = writes[0].Bytes - _headBytes }, .. writes[1..^1]]);
        }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            HttpResponseMessage response = await base.SendAsync(request, cancellationToken);
            _headBytes = "HTTP/1.1 200 OK\r\n\r\n".Length
                + response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated).Sum(header => $"{header.Key}: {header.Value}\r\n".Length);
            return response;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _http.Dispose();
            }

            base.Dispose(disposing);
        }

        private byte[] Received()
        {
            lock (_received)
            {
                return [.. _received.SelectMany(part => part.Bytes)];
            }
        }

        /// <summary>The server's buffer is made of blocks of 4 KiB: a longer write is some full records and one that is not.</summary>
        private static IEnumerable<Sent> Writes(IEnumerable<Sent> records)
        {
            int bytes = 0;
            foreach (Sent record in records)
            {
                bytes += record.Bytes;
                if (record.Bytes % 4096 != 0)
                {
                    yield return record with { Bytes = bytes };
                    bytes = 0;
                }
            }

            Assert.Equal(0, bytes);
        }

        /// <summary>TLS 1.3: a head of five bytes with the length of what follows, which is the plain text, a byte for its type and a tag of sixteen.</summary>
        private IEnumerable<Sent> Records(int from, long begun)
        {
            byte[] bytes = Received();
            while (from < bytes.Length)
            {
                Assert.Equal((0x17, 0x03, 0x03), (bytes[from], bytes[from + 1], bytes[from + 2]));
                int length = BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(from + 3));
                from += 5 + length;
                yield return new Sent(Stopwatch.GetElapsedTime(begun, ArrivalOf(from - 1)), length - 17);
            }
        }

        private long ArrivalOf(int offset)
        {
            lock (_received)
            {
                int end = 0;
                return _received.First(part => (end += part.Bytes.Length) > offset).At;
            }
        }
    }

    /// <summary>Keeps what is received, and when.</summary>
    private sealed class RecordingStream(Socket socket, List<(long At, byte[] Bytes)> received) : NetworkStream(socket, ownsSocket: true)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read = await base.ReadAsync(buffer, cancellationToken);
            lock (received)
            {
                received.Add((Stopwatch.GetTimestamp(), buffer[..read].ToArray()));
            }

            return read;
        }
    }
}
