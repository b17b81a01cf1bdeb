using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>
/// Stands before a node's link port with the node's own key, and dials the node with the key of whoever dialled: what a compromised neighbour can send, and only it, since a
/// stage takes frames from its predecessor alone. Passes every frame on unless told otherwise.
/// </summary>
internal sealed class FrameProxy : IDisposable
{
    private readonly TcpListener _listener;
    private readonly IPEndPoint _node;
    private readonly X509Certificate2 _certificate;
    private readonly Func<string, X509Certificate2> _certificateOf;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<IDisposable, bool> _open = new();

    /// <param name="certificateOf">By the name in a hello.</param>
    public FrameProxy(int port, IPEndPoint node, X509Certificate2 certificate, Func<string, X509Certificate2> certificateOf)
    {
        _listener = new TcpListener(IPAddress.Loopback, port);
        _listener.Start();
        (_node, _certificate, _certificateOf) = (node, certificate, certificateOf);
        _ = AcceptAsync(_listener, PassFramesAsync);
    }

    /// <summary>What is sent instead of a frame on its way to the node; null = the frame.</summary>
    public Func<LinkPurpose, byte[], byte[][]?>? Interference { get; set; }

    /// <summary>Passes whatever comes for <paramref name="port"/> on to <paramref name="target"/> as it is.</summary>
    public void PassOn(int port, IPEndPoint target)
    {
        var listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
        _open[listener] = true;
        _ = AcceptAsync(listener, async socket =>
        {
            using var there = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await there.ConnectAsync(target, _stop.Token);
            await using NetworkStream near = new(socket), far = new(there);
            await Task.WhenAny(near.CopyToAsync(far, _stop.Token), far.CopyToAsync(near, _stop.Token));
        });
    }

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        foreach (IDisposable open in _open.Keys)
        {
            open.Dispose();
        }

        _stop.Dispose();
    }

    private async Task AcceptAsync(TcpListener listener, Func<Socket, Task> serve)
    {
        try
        {
            while (true)
            {
                Socket socket = await listener.AcceptSocketAsync(_stop.Token);
                socket.NoDelay = true;
                _open[socket] = true;
                _ = ServeAsync(socket, serve);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
        }
    }

    private async Task ServeAsync(Socket socket, Func<Socket, Task> serve)
    {
        try
        {
            await serve(socket);
        }
        catch (Exception e) when (e is IOException or SocketException or AuthenticationException or ObjectDisposedException or OperationCanceledException)
        {
            // One side has gone, which the other is told by the end of its connection.
        }
        finally
        {
            socket.Dispose();
            _open.TryRemove(socket, out _);
        }
    }

    private async Task PassFramesAsync(Socket socket)
    {
        await using var near = new SslStream(new NetworkStream(socket));
        await near.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions
            {
                ServerCertificate = _certificate,
                ClientCertificateRequired = true,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null,
                ApplicationProtocols = [new SslApplicationProtocol(HostilePeer.LinkProtocol)],
            },
            _stop.Token);
        byte[] hello = await HostilePeer.ReadFrameAsync(near, _stop.Token);
        LinkHello said = Wire.Decode<LinkHello>(hello.AsMemory(16));
        using HostilePeer far = await HostilePeer.AuthenticateAsync(_node, _certificateOf(said.Sender), HostilePeer.LinkProtocol);
        await far.SendAsync(hello);
        await Task.WhenAny(far.Tls.CopyToAsync(near, _stop.Token), ForwardAsync(said.Purpose, near, far));
    }

    private async Task ForwardAsync(LinkPurpose purpose, SslStream near, HostilePeer far)
    {
        while (true)
        {
            byte[] frame = await HostilePeer.ReadFrameAsync(near, _stop.Token);
            foreach (byte[] sent in Interference?.Invoke(purpose, frame) ?? [frame])
            {
                await far.SendAsync(sent);
            }
        }
    }
}
