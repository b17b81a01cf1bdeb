using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Deploy.Tests.Kubelet;

/// <summary>
/// Connections from within another network namespace. A socket belongs for good to the namespace of the thread that makes it, so a thread of its own goes there, makes it and ends.
/// </summary>
internal static partial class NamespaceSocket
{
    private const int NewNet = 0x40000000;

    /// <summary>Receive buffer of a slow reader: what it has not read is still with the server.</summary>
    private const int SlowBytes = 4096;

    /// <summary>An HTTP client that stands in a namespace; every host name leads to one address.</summary>
    /// <param name="slow">Whether what is not read yet stays with the server.</param>
    /// <param name="authority">PEM of the roots that the server's certificate is held against; null = plain HTTP.</param>
    public static HttpClient CreateClient(string space, string address, int port, string host, string? authority = null, bool keepAlive = true, bool slow = false)
    {
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) => new NetworkStream(await ConnectAsync(space, address, port, cancellation, slow ? SlowBytes : 0), ownsSocket: true),
            ConnectTimeout = TimeSpan.FromSeconds(20),
            PooledConnectionLifetime = keepAlive ? Timeout.InfiniteTimeSpan : TimeSpan.Zero,
            UseProxy = false,
        };
        if (authority is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            policy.CustomTrustStore.ImportFromPem(authority);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }

        return new HttpClient(handler) { BaseAddress = new Uri($"{(authority is null ? "http" : "https")}://{host}:{port}/"), Timeout = TimeSpan.FromMinutes(5) };
    }

    public static async Task<Socket> ConnectAsync(string space, string address, int port, CancellationToken cancellation, int receiveBytes = 0)
    {
        Socket socket = await CreateAsync(space);
        try
        {
            if (receiveBytes > 0)
            {
                socket.ReceiveBufferSize = receiveBytes;
            }

            await socket.ConnectAsync(IPAddress.Parse(address), port, cancellation);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Nobody answers, neither with a connection nor with a refusal.</summary>
    public static async Task RequireDroppedAsync(string space, string address, int port)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ConnectAsync(space, address, port, deadline.Token));
    }

    /// <summary>A bound socket, to listen on all addresses of a namespace.</summary>
    public static async Task<Socket> BindAsync(string space, int port)
    {
        Socket socket = await CreateAsync(space);
        socket.Bind(new IPEndPoint(IPAddress.Any, port));
        return socket;
    }

    private static Task<Socket> CreateAsync(string space)
    {
        var made = new TaskCompletionSource<Socket>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                using SafeFileHandle file = File.OpenHandle($"/run/netns/{space}");
                made.SetResult(SetNamespace((int)file.DangerousGetHandle(), NewNet) == 0
                    ? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true }
                    : throw new IOException($"namespace {space} cannot be entered: error {Marshal.GetLastPInvokeError()}"));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException)
            {
                made.SetException(e);
            }
        })
        { IsBackground = true, Name = "in " + space }.Start();
        return made.Task;
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetNamespace(int file, int kind);
}
