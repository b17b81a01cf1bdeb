using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;

namespace Lamina.Coordinator.Api.Listening;

/// <summary>
/// The socket that a listener accepts from. Its connections hold no more than a few unsent events in the kernel, where up to megabytes of a stream would hide that its reader is
/// slow; what is on its way to the reader is not limited by it.
/// </summary>
internal static class ListenSocket
{
    private const int Tcp = 6;

    /// <summary>TCP_NOTSENT_LOWAT of Linux.</summary>
    private const int NotSentLowWater = 25;

    private const int MaxUnsentBytes = 16 << 10;

    public static Socket Create(EndPoint endpoint)
    {
        Socket socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        if (OperatingSystem.IsLinux())
        {
            // Accepted sockets inherit it.
            socket.SetRawSocketOption(Tcp, NotSentLowWater, BitConverter.GetBytes(MaxUnsentBytes));
        }

        return socket;
    }
}
