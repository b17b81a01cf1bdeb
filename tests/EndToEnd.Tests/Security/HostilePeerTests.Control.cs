using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Lamina.Cluster.Messages;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>On the control ports, below Akka.</summary>
public sealed partial class HostilePeerTests
{
    /// <summary>An associated node of the cell sends every serialiser's payloads, by hand: types by name, unknown numbers, commands, others' events, noise.</summary>
    [Trait("Attack", "B1")]
    [Trait("Attack", "B3")]
    [Fact]
    public async Task ControlPorts_MessagesOfAnAssociatedNode_BuildNothingAndHarmNobody()
    {
        await SendMessagesAsync(24);
        Dictionary<string, long> memory = cell.Memory();
        Dictionary<string, long> before = [];
        string[] refused = ["json", "proto", "daemon-create", "akka-misc", "akka-system-msg", "reliable-delivery", "manifest", "contract"];
        foreach (string what in refused)
        {
            before[what] = await AttackedCell.CountAsync(cell.Coordinator, "lamina_cluster_wire_refused_total", $"what=\"{what}\"");
        }

        await SendMessagesAsync(AttackScale.Cases(cell.Members.Count * Home.Payloads, 50 * cell.Members.Count * Home.Payloads));
        foreach (string what in refused)
        {
            await Eventually.TrueAsync(
                async () =>
                {
                    if (await AttackedCell.CountAsync(cell.Coordinator, "lamina_cluster_wire_refused_total", $"what=\"{what}\"") > before[what])
                    {
                        return true;
                    }

                    // On a busy machine an association may end before its message was read: all kinds once more.
                    await SendMessagesAsync(cell.Members.Count * Home.Payloads);
                    return false;
                },
                s_limit, () => $"no {what} was refused\n{cell.Logs}");
        }

        await cell.AssertUnharmedAsync(memory, output);
    }

    /// <summary>
    /// One association each, and each from an address of its own: a receiver ends an association over the first message that it cannot read, and lets that address wait for a second. One more message
    /// follows at random.
    /// </summary>
    private Task SendMessagesAsync(int associations) => EachAsync(associations, async i =>
    {
        Random random = new(i);
        AttackedCell.Member target = cell.Members[i % cell.Members.Count];
        using var home = new Home(cell);
        try
        {
            using HostilePeer peer = await HostilePeer.AssociateAsync(target.Control, cell.Mallory, AttackedCell.Tenant, "mallory", home.Endpoint, target.Advertised);
            await peer.SendAsync(HostilePeer.Unit(home.Message(target, i / cell.Members.Count, random)));
            await peer.SendAsync(HostilePeer.Unit(home.Message(target, random.Next(), random)));

            // Read before it is left, else a reset could overtake it.
            peer.Socket.Shutdown(SocketShutdown.Send);
            await peer.ReadToEndAsync();
        }
        catch (Exception e) when (HostilePeer.IsEnd(e))
        {
            // Ended while it still spoke.
        }
    });

    /// <summary>The address that the hostile node calls its own: shows its certificate to whoever dials back, and answers nothing.</summary>
    private sealed class Home : IDisposable
    {
        /// <summary>Kinds of messages that <see cref="Message"/> makes.</summary>
        public const int Payloads = 24;

        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly AttackedCell _cell;

        public Home(AttackedCell cell)
        {
            _cell = cell;
            _listener.Start();
            Endpoint = new Endpoint("127.0.0.1", ((IPEndPoint)_listener.LocalEndpoint).Port);
            _ = AcceptAsync();
        }

        public Endpoint Endpoint { get; }

        public byte[] Message(AttackedCell.Member target, int number, Random random)
        {
            const string Gadget = "System.IO.FileSystemWatcher, System.IO.FileSystem.Watcher";
            string system = $"akka.mtls://cell-{AttackedCell.Tenant}@{target.Advertised}";
            string[] paths = ["/user/node", "/user/node-registry", "/system/cluster/core/daemon", "/remote", "/", "/user/nobody"];
            string recipient = system + paths[random.Next(paths.Length)], sender = $"akka.mtls://cell-{AttackedCell.Tenant}@{Endpoint}/user/m";
            byte[] noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            byte[] json = System.Text.Encoding.UTF8.GetBytes($$"""{"$type":"{{Gadget}}","Path":"/"}""");
            byte[] told = Wire.Encode(new NodeEvents.StageReady(AttackedCell.Tenant, default, new NodeName("mallory")));
            (int Serializer, string Manifest, byte[] Content)[] payloads =
            [
                (1, Gadget, json), (2, Gadget, noise), (3, "Akka.Remote.DaemonMsgCreate, Akka.Remote", noise), (16, "STF", noise), (16, "CF", "a = 1"u8.ToArray()), (16, "PP", []),
                (22, "Akka.Dispatch.SysMsg.Terminate, Akka", noise), (22, Gadget, noise), (36, "a", noise), (200, Gadget, json), (200, "999", noise), (200, "35", noise), (200, "32", told),
                (random.Next(256), Gadget, noise), (random.Next(int.MaxValue), "", noise), (11, Gadget, noise), (13, "A", noise), (4, "", noise), (17, "I", noise), (6, "", noise),
                (200, "35", told), (200, "4", Wire.Encode(new NodeCommands.UnloadStage(AttackedCell.Tenant, default))),
                (200, "35", Wire.Encode(new NodeEvents.StageReady(AttackedCell.Tenant, default, new NodeName("node-1")))), (5, "Akka.Cluster.ClusterUserAction+Down, Akka.Cluster", noise),
            ];
            Assert.Equal(Payloads, payloads.Length);
            (int serializer, string manifest, byte[] content) = payloads[number % Payloads];
            byte[] message = HostilePeer.Message(recipient, sender, serializer, manifest, content);
            if (number / Payloads % 4 == 3)
            {
                message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8));
            }

            return message;
        }

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    _ = ShowAsync(await _listener.AcceptSocketAsync());
                }
            }
            catch (Exception e) when (HostilePeer.IsEnd(e))
            {
            }
        }

        private async Task ShowAsync(Socket socket)
        {
            try
            {
                await using var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = _cell.Mallory,
                    ClientCertificateRequired = true,
                    RemoteCertificateValidationCallback = (_, _, _, _) => true,
                    ApplicationProtocols = [new SslApplicationProtocol(HostilePeer.ControlProtocol)],
                });
                await tls.CopyToAsync(Stream.Null);
            }
            catch (Exception e) when (HostilePeer.IsEnd(e))
            {
            }
        }
    }
}
