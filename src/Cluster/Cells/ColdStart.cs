using System.Net.Sockets;
using System.Security.Authentication;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;

namespace Lamina.Cluster.Cells;

/// <summary>
/// Guards a cell against a second one under its name. Only the first seed may form a cell, and Akka lets it do so when no other seed answers in time; cut off and
/// restarted, it would form another one beside the cell that goes on without it. So it waits until most of the coordinators can be spoken to: if one of them is in a cell it says so.
/// </summary>
internal static class ColdStart
{
    private static readonly TimeSpan s_probe = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Coordinators that must answer, this one included.</summary>
    public static int Quorum(int seeds) => (seeds / 2) + 1;

    /// <summary>True when this process may form the cell alone after asking the others, and so has to wait for them.</summary>
    public static bool MustWait(IReadOnlyList<Endpoint> seeds, Endpoint self) => seeds.Count > 1 && seeds[0] == self;

    /// <param name="waiting">Called with (answering, needed) each time too few answer.</param>
    public static async Task WaitForOthersAsync(
        IReadOnlyList<Endpoint> seeds, Endpoint self, CertificateProvider certificates, Action<int, int> waiting, CancellationToken cancellation)
    {
        int needed = Quorum(seeds.Count);
        while (true)
        {
            bool[] answers = await Task.WhenAll(seeds.Where(seed => seed != self).Select(seed => AnswersAsync(seed, certificates, cancellation))).ConfigureAwait(false);
            int answering = 1 + answers.Count(answer => answer);
            if (answering >= needed)
            {
                return;
            }

            waiting(answering, needed);
            await Task.Delay(s_pause, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Whether a coordinator of this cell answers there: the handshake tells; nothing is said after it.</summary>
    private static async Task<bool> AnswersAsync(Endpoint seed, CertificateProvider certificates, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(s_probe);
        try
        {
            using MtlsConnection connection = await MtlsConnection.DialAsync(seed, certificates, deadline.Token).ConfigureAwait(false);
            return connection.Peer.Role == PeerRole.Coordinator;
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return false;
        }
    }
}
