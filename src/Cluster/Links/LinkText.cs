using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;

namespace Lamina.Cluster.Links;

/// <summary>Reasons as they travel and as they are told.</summary>
internal static class LinkText
{
    public const int MaxBytes = 512;

    public static byte[] Encode(string reason)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(reason);
        return bytes.Length <= MaxBytes ? bytes : bytes[..MaxBytes];
    }

    /// <summary>A peer's sentence, made safe for a log line: one line, of bounded length.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes) => Clean(Encoding.UTF8.GetString(bytes));

    public static string Clean(string text) => new([.. text.Take(MaxBytes).Select(c => char.IsControl(c) ? ' ' : c)]);

    /// <summary>One clause for what went wrong with the connection.</summary>
    public static string Describe(Exception error) => error switch
    {
        LinkClosedException closed => closed.Message,
        EndOfStreamException => "closed by the peer without a goodbye",
        AuthenticationException => $"TLS failed: {Innermost(error).Message}",
        ObjectDisposedException => "closed",
        _ when Innermost(error) is SocketException socket => socket.SocketErrorCode switch
        {
            SocketError.ConnectionReset or SocketError.Shutdown or SocketError.ConnectionAborted => "reset by peer",
            SocketError.ConnectionRefused => "connection refused",
            SocketError.TimedOut or SocketError.WouldBlock => "the peer takes no data",
            SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => "host name is unknown",
            SocketError.OperationAborted or SocketError.Interrupted => "closed",
            _ => socket.Message,
        },
        _ => Innermost(error).Message,
    };

    private static Exception Innermost(Exception error)
    {
        while (error.InnerException is { } inner)
        {
            error = inner;
        }

        return error;
    }
}
