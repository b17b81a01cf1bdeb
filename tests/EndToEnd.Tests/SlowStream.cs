using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Lamina.EndToEnd.Tests;

/// <summary>A streamed answer of most of a megabyte for each of its choices of which only the beginning was read, so that the server cannot have ended it: more than sockets hold is still to come.</summary>
internal sealed class SlowStream : IDisposable
{
    private readonly HttpClient _http;
    private readonly HttpResponseMessage _response;
    private readonly StreamReader _reader;
    private readonly Socket _socket;

    private SlowStream(HttpClient http, HttpResponseMessage response, StreamReader reader, Socket socket)
    {
        _http = http;
        _response = response;
        _reader = reader;
        _socket = socket;
    }

    public static async Task<SlowStream> OpenAsync(string address, string key, string model = "tiny", int choices = 8, int tokens = 450) =>
        await TryOpenAsync(address, key, model, choices, tokens) ?? throw new InvalidOperationException("the stream was refused");

    /// <summary>Null where the server has as many requests as it takes and refuses this one.</summary>
    public static async Task<SlowStream?> TryOpenAsync(string address, string key, string model = "tiny", int choices = 8, int tokens = 450)
    {
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        SocketsHttpHandler handler = new()
        {
            ConnectCallback = async (context, cancellation) =>
            {
                await socket.ConnectAsync(context.DnsEndPoint, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        HttpClient http = new(handler) { BaseAddress = new Uri(address), Timeout = TimeSpan.FromMinutes(10) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        JsonObject body = new()
        {
            ["model"] = model,
            ["messages"] = ChatApi.User("Tell me a story about a red fox in the forest."),
            ["stream"] = true,
            ["max_tokens"] = tokens,
            ["min_tokens"] = tokens,
            ["n"] = choices,
            ["logprobs"] = true,
            ["top_logprobs"] = 20,
        };
        HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (response.StatusCode == HttpStatusCode.TooManyRequests)
        {
            response.Dispose();
            http.Dispose();
            return null;
        }

        StreamReader reader = new(await response.Content.ReadAsStreamAsync());
        string? first = await reader.ReadLineAsync();
        Assert.True(response.IsSuccessStatusCode, first);
        return new SlowStream(http, response, reader, socket);
    }

    /// <summary>Reads the rest; false when the connection broke before the end.</summary>
    public async Task<bool> ReadsToItsEndAsync()
    {
        // From here on a quick reader: through four kilobytes at a time the rest takes ten minutes where each waits for the sender's timer.
        _socket.ReceiveBufferSize = 1 << 20;
        try
        {
            while (await _reader.ReadLineAsync() is { } line)
            {
                if (line == "data: [DONE]")
                {
                    return true;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException)
        {
            // It broke.
        }

        return false;
    }

    public void Dispose()
    {
        _reader.Dispose();
        _response.Dispose();
        _http.Dispose();
    }
}
