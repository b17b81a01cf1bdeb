using System.Net;
using System.Net.Sockets;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>Passes TCP connections on to a server and resets each after as many bytes of its answers as it is told.</summary>
internal sealed class ResetProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _server;
    private readonly Func<int?> _budget;
    private readonly Task _accepting;
    private int _resets;

    /// <param name="budget">Bytes that the next connection may carry back; null = any number.</param>
    public ResetProxy(Uri server, Func<int?> budget)
    {
        _server = new IPEndPoint(IPAddress.Parse(server.Host), server.Port);
        _budget = budget;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public Uri Address => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    public int Resets => _resets;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting.ContinueWith(_ => { }, TaskScheduler.Default);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            _ = PassAsync(await _listener.AcceptSocketAsync(_stop.Token), _budget());
        }
    }

    private async Task PassAsync(Socket client, int? budget)
    {
        using var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await server.ConnectAsync(_server, _stop.Token);
            Task forward = CopyAsync(client, server, null);
            await Task.WhenAny(forward, CopyAsync(server, client, budget));
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One side has gone.
        }
        finally
        {
            client.Dispose();
        }
    }

    private async Task CopyAsync(Socket from, Socket to, int? budget)
    {
        byte[] buffer = new byte[4096];
        int read;
        while ((read = await from.ReceiveAsync(buffer, _stop.Token)) > 0)
        {
            int pass = budget is int left ? Math.Min(read, left) : read;
            await to.SendAsync(buffer.AsMemory(0, pass), _stop.Token);
            if ((budget -= pass) == 0)
            {
                Interlocked.Increment(ref _resets);
                to.LingerState = new LingerOption(true, 0);
                to.Dispose();
                return;
            }
        }
    }
}
