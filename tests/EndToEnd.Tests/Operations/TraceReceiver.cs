using System.Net;
using Lamina.Cli.Chaos;

namespace Lamina.EndToEnd.Tests.Operations;

/// <summary>A span as it arrived, ids in hexadecimal digits.</summary>
/// <param name="Service">The resource's <c>service.name</c>, and its instance.</param>
internal sealed record ReceivedSpan(string Service, string Instance, string Name, string TraceId, string SpanId, string ParentId, IReadOnlyDictionary<string, string> Tags);

/// <summary>An OpenTelemetry collector of a test: takes protobuf over HTTP and keeps spans and bytes. Reads the wire format by field numbers of OTLP's published schema.</summary>
internal sealed class TraceReceiver : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Lock _lock = new();
    private readonly List<ReceivedSpan> _spans = [];
    private readonly List<byte[]> _bodies = [];

    public TraceReceiver()
    {
        Address = new Uri($"http://127.0.0.1:{FreePorts.Take()}/");
        _listener.Prefixes.Add(Address.ToString());
        _listener.Start();
        _ = Task.Run(RunAsync);
    }

    public Uri Address { get; }

    public IReadOnlyList<ReceivedSpan> Spans
    {
        get
        {
            lock (_lock)
            {
                return [.. _spans];
            }
        }
    }

    /// <summary>Whether the bytes came in anything that was received.</summary>
    public bool Holds(byte[] bytes)
    {
        lock (_lock)
        {
            return _bodies.Any(body => body.AsSpan().IndexOf(bytes) >= 0);
        }
    }

    public void Dispose() => _listener.Close();

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                HttpListenerContext context = await _listener.GetContextAsync();
                using var body = new MemoryStream();
                await context.Request.InputStream.CopyToAsync(body);
                bool isTraces = context.Request.Url!.AbsolutePath == "/v1/traces" && context.Request.ContentType == "application/x-protobuf";
                lock (_lock)
                {
                    _bodies.Add(body.ToArray());
                    if (isTraces)
                    {
                        _spans.AddRange(Read(body.ToArray()));
                    }
                }

                context.Response.StatusCode = isTraces ? 200 : 404;
                context.Response.Close();
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    /// <summary>ExportTraceServiceRequest: 1 ResourceSpans { 1 Resource { 1 attributes }, 2 ScopeSpans { 2 Span } }.</summary>
    private static IEnumerable<ReceivedSpan> Read(byte[] request)
    {
        foreach (byte[] resourceSpans in Fields(request).Where(field => field.Number == 1).Select(field => field.Bytes))
        {
            Dictionary<string, string> resource = Attributes(Fields(resourceSpans).Single(field => field.Number == 1).Bytes, 1);
            foreach (byte[] span in Fields(resourceSpans).Where(field => field.Number == 2).SelectMany(scope => Fields(scope.Bytes)).Where(field => field.Number == 2).Select(field => field.Bytes))
            {
                // Span: 1 trace id, 2 span id, 4 parent's id, 5 name, 9 attributes.
                Dictionary<int, byte[]> fields = Fields(span).GroupBy(field => field.Number).ToDictionary(group => group.Key, group => group.First().Bytes);
                yield return new ReceivedSpan(
                    resource.GetValueOrDefault("service.name", ""), resource.GetValueOrDefault("service.instance.id", ""), System.Text.Encoding.UTF8.GetString(fields[5]),
                    Convert.ToHexStringLower(fields[1]), Convert.ToHexStringLower(fields[2]), Convert.ToHexStringLower(fields.GetValueOrDefault(4, [])), Attributes(span, 9));
            }
        }
    }

    /// <summary>KeyValue { 1 key, 2 AnyValue { 1 string, 3 int, 4 double } }.</summary>
    private static Dictionary<string, string> Attributes(byte[] message, int number) => Fields(message).Where(field => field.Number == number).ToDictionary(
        field => System.Text.Encoding.UTF8.GetString(Fields(field.Bytes).Single(part => part.Number == 1).Bytes),
        field => Fields(Fields(field.Bytes).Single(part => part.Number == 2).Bytes).Select(value => value.Number == 1 ? System.Text.Encoding.UTF8.GetString(value.Bytes) : value.Varint.ToString(System.Globalization.CultureInfo.InvariantCulture)).FirstOrDefault(""));

    private static IEnumerable<(int Number, byte[] Bytes, ulong Varint)> Fields(byte[] message)
    {
        for (int at = 0; at < message.Length;)
        {
            ulong key = Varint(message, ref at);
            switch (key & 7)
            {
                case 0:
                    yield return ((int)(key >> 3), [], Varint(message, ref at));
                    break;
                case 1:
                    at += 8;
                    break;
                case 2:
                    int length = (int)Varint(message, ref at);
                    yield return ((int)(key >> 3), message[at..(at + length)], 0);
                    at += length;
                    break;
                case 5:
                    at += 4;
                    break;
                default:
                    throw new InvalidDataException($"wire type {key & 7}");
            }
        }
    }

    private static ulong Varint(byte[] message, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = message[at++];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }
    }
}
