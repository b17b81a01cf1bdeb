using System.Net;
using System.Net.Sockets;
using System.Text;
using Lamina.Coordinator.Api.Listening;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Lamina.Coordinator.Tests.Api.Listening;

/// <summary>Connections of a listener whose process was asked to end.</summary>
public sealed class DepartureTests : IAsyncLifetime
{
    private readonly Departure _departure = new();
    private readonly TaskCompletionSource _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private WebApplication _app = null!;
    private IPEndPoint _address = null!;

    public async ValueTask InitializeAsync()
    {
        var listen = new IPEndPoint(IPAddress.Loopback, 0);
        _app = WebListener.Build(listen, null, NullLoggerFactory.Instance, _departure);
        _app.Use(_departure.InvokeAsync);
        _app.Run(async context =>
        {
            bool owed = Departure.Owes(context);
            context.Response.ContentLength = 2;
            await context.Response.Body.FlushAsync();
            if (context.Request.Path == "/held")
            {
                await _answer.Task;
            }

            await context.Response.WriteAsync(owed ? "ow" : "no");
        });
        _address = new IPEndPoint(IPAddress.Loopback, (await WebListener.StartAsync(_app, listen, "test", CancellationToken.None)).Port);
    }

    public ValueTask DisposeAsync() => new(WebListener.StopAsync(_app));

    [Fact]
    public async Task Announce_WhileAnAnswerIsUnderWay_OwesItsConnectionOneMoreAndTheNewOnesNothing()
    {
        using Visit waiting = await Visit.OpenAsync(_address), streaming = await Visit.OpenAsync(_address);
        Assert.DoesNotContain("close", await waiting.AskAsync("/"), StringComparison.Ordinal);
        await streaming.SendAsync("/held");
        Assert.DoesNotContain("close", await streaming.ReadHeadAsync(), StringComparison.Ordinal);

        _departure.Announce();
        _answer.SetResult();
        Assert.Equal("no", await streaming.ReadAsync(2));
        string last = await streaming.AskAsync("/");
        Assert.Contains("Connection: close", last, StringComparison.Ordinal);
        Assert.EndsWith("ow", last, StringComparison.Ordinal);
        Assert.Equal("", await streaming.ReadAsync(1));

        using Visit late = await Visit.OpenAsync(_address);
        string answer = await late.AskAsync("/");
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
        Assert.EndsWith("no", answer, StringComparison.Ordinal);

        // The one that asked nothing since is closed only now.
        _departure.CloseIdle();
        Assert.Equal("", await waiting.ReadAsync(1));
    }

    private sealed class Visit(Socket socket) : IDisposable
    {
        private readonly CancellationTokenSource _limit = new(TimeSpan.FromMinutes(1));

        public static async Task<Visit> OpenAsync(IPEndPoint address)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(address);
            return new Visit(socket);
        }

        public async Task SendAsync(string path) => await socket.SendAsync(Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"), _limit.Token);

        public async Task<string> ReadHeadAsync()
        {
            var head = new StringBuilder();
            while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
            {
                string read = await ReadAsync(1);
                Assert.NotEqual("", read);
                head.Append(read);
            }

            return head.ToString();
        }

        /// <summary>Fewer only where the connection ends.</summary>
        public async Task<string> ReadAsync(int bytes)
        {
            byte[] buffer = new byte[bytes];
            int had = 0;
            while (had < bytes && await socket.ReceiveAsync(buffer.AsMemory(had), _limit.Token) is > 0 and int got)
            {
                had += got;
            }

            return Encoding.ASCII.GetString(buffer, 0, had);
        }

        public async Task<string> AskAsync(string path)
        {
            await SendAsync(path);
            return await ReadHeadAsync() + await ReadAsync(2);
        }

        public void Dispose()
        {
            socket.Dispose();
            _limit.Dispose();
        }
    }
}
