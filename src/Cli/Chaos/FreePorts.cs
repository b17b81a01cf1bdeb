using System.Net;
using System.Net.Sockets;

namespace Lamina.Cli.Chaos;

/// <summary>
/// Loopback ports for processes that are started later. They lie below the range from which the system takes the ports of outgoing connections (32768 and up, RFC 6056 and Linux' default), one of
/// which may otherwise sit on a port before its process gets to listen; none is given twice.
/// </summary>
internal static class FreePorts
{
    private const int First = 10_000;
    private const int Count = 22_000;

    private static int s_taken = Random.Shared.Next(Count);

    public static int Take()
    {
        for (int attempt = 0; attempt < Count; attempt++)
        {
            int port = First + (int)((uint)Interlocked.Increment(ref s_taken) % Count);
            try
            {
                using TcpListener listener = new(IPAddress.Loopback, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Somebody listens there.
            }
        }

        throw new InvalidOperationException($"none of the ports {First} to {First + Count - 1} of this machine is free");
    }
}
