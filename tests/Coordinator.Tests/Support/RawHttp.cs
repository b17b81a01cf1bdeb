using System.Net.Sockets;
using System.Text;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>Bytes to a server and its bytes back, past any client that would correct them.</summary>
internal static class RawHttp
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    /// <summary>Sends all at once and reads until the server closes the connection.</summary>
    public static async Task<string> SendAsync(Uri server, string bytes, bool halfClose = false)
    {
        using TcpClient client = await ConnectAsync(server);
        await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(bytes));
        if (halfClose)
        {
            client.Client.Shutdown(SocketShutdown.Send);
        }

        return await ReadToEndAsync(client);
    }

    public static async Task<TcpClient> ConnectAsync(Uri server)
    {
        var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(server.Host, server.Port);
        return client;
    }

    public static async Task<string> ReadToEndAsync(TcpClient client)
    {
        using var deadline = new CancellationTokenSource(s_limit);
        using var all = new MemoryStream();
        try
        {
            await client.GetStream().CopyToAsync(all, deadline.Token);
        }
        catch (IOException)
        {
            // A reset: what came before it counts.
        }

        return Encoding.Latin1.GetString(all.ToArray());
    }
}
