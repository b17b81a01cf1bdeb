using System.Net;
using System.Net.Sockets;
using Lamina.Cli.Health;
using Microsoft.Extensions.Logging.Abstractions;
using Prometheus;

namespace Lamina.EndToEnd.Tests;

public sealed class HealthConnectionTests
{
    /// <summary>A probe that cannot connect has its process restarted, so no number of connections that others hold may keep it out.</summary>
    [Trait("Attack", "R4")]
    [Fact]
    public async Task Probe_WhileOthersHoldMoreConnectionsThanThereMayBe_IsAnswered()
    {
        await using HealthServer server = (await HealthServer.StartAsync(
            new HealthOptions { Listen = "127.0.0.1:0" }, () => true, Metrics.NewCustomRegistry(), NullLoggerFactory.Instance, CancellationToken.None))!;
        var held = new List<Socket>();
        try
        {
            string[] openings = ["", "GET /health/live HT", "GET /health/live HTTP/1.1\r\nHost: a\r\nX: "];
            for (int i = 0; i < 3 * HealthServer.MaxConnections; i++)
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                held.Add(socket);
                await socket.ConnectAsync(IPAddress.Loopback, server.Address.Port);
                await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(openings[i % openings.Length]));
                if (i % HealthServer.MaxConnections == HealthServer.MaxConnections - 1)
                {
                    // A connection of its own each time, as the kubelet makes them.
                    using var probe = new HttpClient { BaseAddress = server.Address, Timeout = TimeSpan.FromSeconds(120) };
                    Assert.Equal("live\n", await probe.GetStringAsync("health/live"));
                }
            }

            // The first has had to go.
            Assert.Equal(0, await ReadAsync(held[0]).WaitAsync(TimeSpan.FromSeconds(120)));
        }
        finally
        {
            held.ForEach(socket => socket.Dispose());
        }
    }

    private static async Task<int> ReadAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[16]);
        }
        catch (SocketException)
        {
            return 0;
        }
    }
}
