using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace Lamina.Cli.Chaos;

/// <summary>
/// Stands in the way of the links that others dial to one node, in that node's network: delays what passes, cuts it into small pieces, alters bytes, resets connections. Order is kept, as
/// TCP keeps it; what is drawn at random follows from the seed.
/// </summary>
internal sealed class ChaosProxy : IDisposable
{
    private const int Waiting = 256;

    private readonly ChaosNetwork _network;
    private readonly string _node;
    private readonly int _port;
    private readonly Socket _listener;
    private readonly Random _random;
    private readonly ConcurrentDictionary<Socket, bool> _sockets = new();
    private readonly CancellationTokenSource _ending = new();
    private int _damagesLeft;
    private int _resetsLeft;

    private ChaosProxy(ChaosNetwork network, string node, int port, int seed)
    {
        (_network, _node, _port, _random) = (network, node, port, new Random(seed));
        _listener = network.OpenSocket(node);
        _listener.Bind(new IPEndPoint(IPAddress.Any, 0));
        _listener.Listen(64);
    }

    /// <summary>Each way; what passes from now on.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>At most that much more, drawn anew for each piece.</summary>
    public TimeSpan Jitter { get; set; }

    /// <summary>Pieces are 1 to so many bytes long; 0 leaves them as they come.</summary>
    public int LongestPiece { get; set; }

    /// <summary>Connections that came this way.</summary>
    public int Connections { get; private set; }

    /// <summary>Bytes altered.</summary>
    public int Damages { get; private set; }

    /// <summary>Connections reset.</summary>
    public int Resets { get; private set; }

    /// <summary>In the way of every connection that is made to that port from now on.</summary>
    public static ChaosProxy Start(ChaosNetwork network, string node, int port, int seed)
    {
        var proxy = new ChaosProxy(network, node, port, seed);
        network.Redirect(node, port, ((IPEndPoint)proxy._listener.LocalEndPoint!).Port);
        _ = Task.Run(proxy.AcceptAsync);
        return proxy;
    }

    /// <summary>Of the connections that are made from now on, so many will have one byte altered, somewhere in what they carry.</summary>
    public void Damage(int connections) => _damagesLeft = connections;

    /// <summary>Of the connections that are made from now on, so many will be reset, at some byte of what they carry.</summary>
    public void Reset(int connections) => _resetsLeft = connections;

    /// <summary>Ends every connection that stands.</summary>
    public void BreakAll()
    {
        foreach (Socket socket in _sockets.Keys)
        {
            socket.Dispose();
        }
    }

    public void Dispose()
    {
        if (_ending.IsCancellationRequested)
        {
            return;
        }

        _ending.Cancel();
        _listener.Dispose();
        BreakAll();
    }

    private double Draw()
    {
        lock (_random)
        {
            return _random.NextDouble();
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket dialler = await _listener.AcceptAsync(_ending.Token);
                Socket node = _network.OpenSocket(_node);
                _sockets[dialler] = _sockets[node] = true;
                Connections++;
                dialler.NoDelay = node.NoDelay = true;

                // Beyond the handshake, so that a link stands before it is broken.
                long damageAt = Interlocked.Decrement(ref _damagesLeft) >= 0 ? 20_000 + (long)(Draw() * 180_000) : long.MaxValue;
                long resetAt = Interlocked.Decrement(ref _resetsLeft) >= 0 ? 100 + (long)(Draw() * 200_000) : long.MaxValue;
                _ = Task.Run(() => JoinAsync(dialler, node, damageAt, resetAt));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException or IOException)
        {
            // It is over.
        }
    }

    private async Task JoinAsync(Socket dialler, Socket node, long damageAt, long resetAt)
    {
        try
        {
            await node.ConnectAsync(new IPEndPoint(IPAddress.Parse(_network.AddressOf(_node)), _port), _ending.Token);
            await Task.WhenAny(PassAsync(dialler, node, damageAt, resetAt), PassAsync(node, dialler, long.MaxValue, long.MaxValue));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // As a connection ends.
        }
        finally
        {
            foreach (Socket socket in new[] { dialler, node })
            {
                _sockets.TryRemove(socket, out _);
                socket.Dispose();
            }
        }
    }

    private async Task PassAsync(Socket from, Socket to, long damageAt, long resetAt)
    {
        var pieces = Channel.CreateBounded<(long Due, byte[] Bytes)>(Waiting);
        Task sending = SendAsync(pieces.Reader, to);
        byte[] buffer = new byte[64 << 10];
        long passed = 0, due = 0;
        try
        {
            while (!sending.IsCompleted)
            {
                int read = await from.ReceiveAsync(buffer.AsMemory(), _ending.Token);
                if (read == 0)
                {
                    break;
                }

                if (damageAt >= passed && damageAt < passed + read)
                {
                    buffer[damageAt - passed] ^= 0x10;
                    Damages++;
                }

                if (resetAt < passed + read)
                {
                    Resets++;
                    from.LingerState = to.LingerState = new LingerOption(true, 0);
                    return;
                }

                passed += read;
                due = Math.Max(due, Stopwatch.GetTimestamp() + (long)((Delay + (Jitter * Draw())).TotalSeconds * Stopwatch.Frequency));
                await pieces.Writer.WriteAsync((due, buffer[..read]), _ending.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // As a connection ends.
        }
        finally
        {
            pieces.Writer.TryComplete();
        }

        await sending;
    }

    private async Task SendAsync(ChannelReader<(long Due, byte[] Bytes)> pieces, Socket to)
    {
        try
        {
            await foreach ((long due, byte[] bytes) in pieces.ReadAllAsync(_ending.Token))
            {
                if (Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due) is { Ticks: > 0 } wait)
                {
                    await Task.Delay(wait, _ending.Token);
                }

                int longest = LongestPiece;
                for (int sent = 0; sent < bytes.Length;)
                {
                    int length = longest == 0 ? bytes.Length - sent : Math.Min(bytes.Length - sent, 1 + (int)(Draw() * longest));
                    sent += await to.SendAsync(bytes.AsMemory(sent, length), _ending.Token);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // As a connection ends.
        }
    }
}
