using System.Net;
using System.Net.Sockets;

namespace Lamina.Cluster.Tests.Support;

/// <summary>What a proxy does to the bytes that a dialler sends, once, at a place that it counts to.</summary>
internal enum Tampering { None, FlipBit, DropByte, RepeatBytes, InsertByte, Cut }

/// <summary>Stands between a dialler and its target and passes everything on, but for one deed.</summary>
internal sealed class TamperingProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Cluster.Messages.Endpoint _target;
    private readonly Tampering _deed;
    private readonly int _at;

    public TamperingProxy(Cluster.Messages.Endpoint target, Tampering deed, int at)
    {
        (_target, _deed, _at) = (target, deed, at);
        _listener.Start();
        _ = AcceptAsync();
    }

    public Cluster.Messages.Endpoint Endpoint => new("127.0.0.1", ((IPEndPoint)_listener.LocalEndpoint).Port);

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        try
        {
            using TcpClient dialler = await _listener.AcceptTcpClientAsync();
            using TcpClient target = new();
            await target.ConnectAsync(_target.Host, _target.Port);
            Task there = PassAsync(dialler.GetStream(), target.GetStream(), _deed), back = PassAsync(target.GetStream(), dialler.GetStream(), Tampering.None);
            await Task.WhenAny(there, back);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task PassAsync(NetworkStream from, NetworkStream to, Tampering deed)
    {
        byte[] buffer = new byte[4096];
        for (long passed = 0; await from.ReadAsync(buffer) is int read && read > 0; passed += read)
        {
            byte[] piece = buffer[..read];
            if (deed != Tampering.None && passed + read > _at && passed <= _at)
            {
                int place = (int)(_at - passed);
                piece = deed switch
                {
                    Tampering.FlipBit => [.. piece[..place], (byte)(piece[place] ^ 0x10), .. piece[(place + 1)..]],
                    Tampering.DropByte => [.. piece[..place], .. piece[(place + 1)..]],
                    Tampering.InsertByte => [.. piece[..place], 0, .. piece[place..]],
                    Tampering.RepeatBytes => [.. piece, .. piece],
                    _ => piece[..place],
                };
                await to.WriteAsync(piece);
                if (deed == Tampering.Cut)
                {
                    return;
                }

                continue;
            }

            await to.WriteAsync(piece);
        }
    }
}
