using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Lamina.Cluster.Tests.Support;

internal enum RogueBehaviour { Reset, Close, ResetAfterClientHello, Garbage, Silent, Certificate, CloseAfterTls, GarbageAfterTls, SilentAfterTls }

/// <summary>A port where something else listens than a dialler expects; misbehaves towards every connection.</summary>
internal sealed class RogueListener : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly RogueBehaviour _behaviour;
    private readonly X509Certificate2? _certificate;
    private readonly string _protocol;
    private readonly List<IDisposable> _open = [];
    private readonly TaskCompletionSource _connected = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="receiveBuffer">Bytes that the kernel keeps of what is not read; null = as many as it likes.</param>
    public RogueListener(RogueBehaviour behaviour, X509Certificate2? certificate = null, string protocol = "lamina-link/1", int? receiveBuffer = null)
    {
        if (receiveBuffer is { } bytes)
        {
            // Connections inherit it.
            _listener.Server.ReceiveBufferSize = bytes;
        }

        _behaviour = behaviour;
        _certificate = certificate;
        _protocol = protocol;
        _listener.Start();
        Endpoint = new Cluster.Messages.Endpoint("127.0.0.1", ((IPEndPoint)_listener.LocalEndpoint).Port);
        _ = AcceptAsync();
    }

    public Cluster.Messages.Endpoint Endpoint { get; }

    public Task Connected => _connected.Task.WaitAsync(TimeSpan.FromSeconds(120));

    public void Dispose()
    {
        _listener.Dispose();
        lock (_open)
        {
            _open.ForEach(o => o.Dispose());
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket socket = await _listener.AcceptSocketAsync();
                lock (_open)
                {
                    _open.Add(socket);
                }

                _ = MisbehaveAsync(socket);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }

    private async Task MisbehaveAsync(Socket socket)
    {
        try
        {
            switch (_behaviour)
            {
                case RogueBehaviour.Reset:
                    socket.LingerState = new LingerOption(true, 0);
                    socket.Dispose();
                    break;
                case RogueBehaviour.Close:
                    socket.Dispose();
                    break;
                case RogueBehaviour.ResetAfterClientHello:
                    await socket.ReceiveAsync(new byte[16]);
                    socket.LingerState = new LingerOption(true, 0);
                    socket.Dispose();
                    break;
                case RogueBehaviour.Garbage:
                    await socket.SendAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray());
                    break;
                case RogueBehaviour.Silent:
                    break;
                default:
                    await AuthenticateAsync(socket);
                    break;
            }

            _connected.TrySetResult();
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or AuthenticationException)
        {
            _connected.TrySetResult();
        }
    }

    private async Task AuthenticateAsync(Socket socket)
    {
        SslStream ssl = new(new NetworkStream(socket));
        lock (_open)
        {
            _open.Add(ssl);
        }

        await ssl.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            ServerCertificate = _certificate,
            ClientCertificateRequired = true,
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
            ApplicationProtocols = [new SslApplicationProtocol(_protocol)],
        });
        if (_behaviour == RogueBehaviour.CloseAfterTls)
        {
            ssl.Dispose();
            socket.Dispose();
        }
        else if (_behaviour == RogueBehaviour.GarbageAfterTls)
        {
            byte[] garbage = new byte[4096];
            new Random(5).NextBytes(garbage);
            await ssl.WriteAsync(garbage);
        }
    }
}
