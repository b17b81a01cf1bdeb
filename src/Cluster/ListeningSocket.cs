using System.Net;
using System.Net.Sockets;

namespace Lamina.Cluster;

/// <summary>Opens the ports of a process.</summary>
internal static class ListeningSocket
{
    private const int Backlog = 512;

    /// <summary>Throws <see cref="IOException"/> with one sentence when the address cannot be bound.</summary>
    public static Socket Open(string bindAddress, int port, string? publicHost)
    {
        IPAddress? address = bindAddress == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(bindAddress, out IPAddress? literal) ? literal : null;
        if (address is null)
        {
            throw new IOException($"bind address '{bindAddress}' is not an IP address");
        }

        if (publicHost is null && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any)))
        {
            throw new IOException($"bind address '{bindAddress}' stands for every interface: say with PublicHost under which name others reach this process");
        }

        Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(address, port));
            socket.Listen(Backlog);
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new IOException($"cannot listen on {bindAddress}:{port}: {(e.SocketErrorCode == SocketError.AddressAlreadyInUse ? "the port is in use" : e.Message)}", e);
        }
    }
}
