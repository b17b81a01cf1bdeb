using System.Net;
using System.Net.Sockets;

namespace Lamina.Cluster.Links;

public static class LinkDialler
{
    /// <summary>
    /// Connects, authenticates both ways, says hello and waits for the answer. Throws <see cref="LinkClosedException"/> with a clear sentence (refused, unreachable,
    /// certificate of another tenant, ...); <see cref="LinkClosedException.IsUnanswered"/> when the address took no connection within <see cref="LinkOptions.SilenceLimit"/>. The link must be
    /// started afterwards.
    /// </summary>
    /// <param name="expectedPeer">Name that must stand in the peer's certificate; null accepts any of an allowed role whose certificate names the host.</param>
    public static Task<Link> DialAsync(Messages.Endpoint endpoint, string? expectedPeer, LinkHello hello, LinkOptions options, Identity.CertificateProvider certificates, CancellationToken cancellation)
    {
        // A thread of its own, because the socket must stay blocking for its whole life (see FrameStream).
        TaskCompletionSource<Link> completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => Dial(completion, endpoint, expectedPeer, hello, options, certificates, cancellation), 512 * 1024) { IsBackground = true, Name = "link-dial" }.Start();
        return completion.Task;
    }

    private static void Dial(TaskCompletionSource<Link> completion, Messages.Endpoint endpoint, string? expectedPeer, LinkHello hello, LinkOptions options, Identity.CertificateProvider certificates, CancellationToken cancellation)
    {
        using HandshakeDeadline deadline = new(options.HandshakeDeadline);
        using CancellationTokenRegistration cancel = cancellation.Register(deadline.Break);
        try
        {
            Socket socket = Connect(endpoint, deadline, options.SilenceLimit);
            Link link = LinkHandshake.Dial(socket, endpoint.Host, expectedPeer, hello, options, certificates);
            deadline.Dispose();
            if (!deadline.IsBroken)
            {
                completion.SetResult(link);
                return;
            }

            link.Close("cancelled");
            throw new LinkClosedException("closed");
        }
        catch (Exception e)
        {
            if (cancellation.IsCancellationRequested)
            {
                completion.SetCanceled(cancellation);
                return;
            }

            string reason = deadline.IsBroken ? $"no answer within {options.HandshakeDeadline.TotalSeconds:0.###} s" : LinkText.Describe(e);
            completion.SetException(new LinkClosedException($"link to {expectedPeer ?? "peer"} at {endpoint}: {reason}") { IsUnanswered = e is LinkClosedException { IsUnanswered: true } });
        }
    }

    /// <summary>Any system that is there takes a connection at once, however busy the process is: silence means that the network drops what is sent.</summary>
    private static Socket Connect(Messages.Endpoint endpoint, HandshakeDeadline deadline, TimeSpan silenceLimit)
    {
        Exception? last = null;
        foreach (IPAddress address in IPAddress.TryParse(endpoint.Host, out IPAddress? literal) ? [literal] : Dns.GetHostAddresses(endpoint.Host))
        {
            Socket socket = new(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            using HandshakeDeadline silence = new(silenceLimit);
            try
            {
                deadline.Guard(socket);
                silence.Guard(socket);
                socket.Connect(address, endpoint.Port);
                silence.Dispose();
                if (!silence.IsBroken)
                {
                    return socket;
                }

                last = Unanswered(silenceLimit);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException && !deadline.IsBroken)
            {
                socket.Dispose();
                last = silence.IsBroken ? Unanswered(silenceLimit) : e;
            }
        }

        throw last ?? new SocketException((int)SocketError.HostNotFound);
    }

    private static LinkClosedException Unanswered(TimeSpan limit) => new($"no connection within {limit.TotalSeconds:0.###} s") { IsUnanswered = true };
}
