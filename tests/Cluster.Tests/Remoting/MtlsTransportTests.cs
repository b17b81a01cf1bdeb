using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Akka.Actor;
using CsCheck;
using Lamina.Cluster.Cells;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Remoting;
using Lamina.Cluster.Tests.Support;
using Lamina.TestSupport;
using AkkaCluster = Akka.Cluster.Cluster;

namespace Lamina.Cluster.Tests.Remoting;

/// <summary>One coordinator whose control port all tests of this class attack; it must stand at the end of each.</summary>
public sealed class MtlsTransportTests : IAsyncLifetime
{
    private readonly CellMembers _cell = new() { Transport = new MtlsOptions { HandshakeDeadline = TimeSpan.FromSeconds(2.5) } };
    private readonly TestCell _foreign = new();
    private CertificateProvider _certificates = null!;
    private CellSystem _front = null!;

    public async ValueTask InitializeAsync()
    {
        _certificates = _cell.Certificates.Coordinator("front");
        _front = await _cell.StartAsync(_certificates, []);
    }

    public async ValueTask DisposeAsync()
    {
        Assert.False(_front.Stopped.IsCompleted, "the attacked process must not stop");
        await _cell.DisposeAsync();
        _foreign.Dispose();
    }

    public static TheoryData<string> WrongClients() => [.. WrongCertificates.Names.Where(name => WrongCertificates.AppliesTo(name, peerIsServer: false))];

    [Trait("Attack", "B7")]
    [Theory]
    [MemberData(nameof(WrongClients))]
    public async Task Port_WrongClientCertificate_RefusesAndCounts(string name)
    {
        (X509Certificate2? certificate, RefusalReason reason) = WrongCertificates.Make(name, _cell.Certificates, _foreign, peerIsServer: false);
        long before = _certificates.Refusals(reason);
        try
        {
            using RawPeer peer = await RawPeer.AuthenticateAsync(_front.ControlEndpoint, certificate, "lamina-akka/1");
            Assert.True(await peer.IsCutAsync());
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
        }

        await Eventually.TrueAsync(() => _certificates.Refusals(reason) == before + 1);
    }

    [Trait("Attack", "B7")]
    [Theory]
    [InlineData(SslProtocols.Tls12, "lamina-akka/1")]
    [InlineData(SslProtocols.Tls13, "lamina-link/1")]
    [InlineData(SslProtocols.Tls13, "")]
    public async Task Port_OtherTlsOrProtocol_Refuses(SslProtocols tls, string protocol)
    {
        try
        {
            using RawPeer peer = await RawPeer.AuthenticateAsync(_front.ControlEndpoint, LeafOf("a"), protocol, tls);
            Assert.True(await peer.IsCutAsync());
        }
        catch (Exception e) when (e is AuthenticationException or IOException)
        {
        }

        await Eventually.TrueAsync(() => _certificates.Refusals(RefusalReason.Handshake) + _certificates.Refusals(RefusalReason.Protocol) > 0);
    }

    [Fact]
    public async Task Opening_HonestPeer_IsAccepted()
    {
        using AkkaPeer peer = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, LeafOf("a"));

        OpeningAnswer answer = await peer.OpenAsync(OpeningOf("a", peer.Home));
        await peer.SendAsync(AkkaPeer.Associate("cell-acme", peer.Home.Host, peer.Home.Port));

        Assert.Equal(("", _front.ControlEndpoint), (answer.Refusal, answer.Self));
        Assert.True(AssociateOrigin.TryRead(await peer.ReadAsync(), out (string System, Endpoint Endpoint)? origin));
        Assert.Equal(("cell-acme", _front.ControlEndpoint), origin);
    }

    [Trait("Attack", "B7")]
    [Trait("Attack", "I4")]
    [Fact]
    public async Task Opening_NodeBClaimsTheAddressOfNodeA_IsRefused()
    {
        CellSystem a = await _cell.NodeAsync("a", _front.ControlEndpoint);
        using AkkaPeer b = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, LeafOf("b"));

        OpeningAnswer answer = await b.OpenAsync(OpeningOf("b", a.ControlEndpoint));

        Assert.Contains($"b claims {a.ControlEndpoint}, where a answers", answer.Refusal, StringComparison.Ordinal);
        Assert.True(await b.IsCutAsync());
        Assert.Equal(1, _certificates.Refusals(RefusalReason.Address));
    }

    [Trait("Attack", "I4")]
    [Fact]
    public async Task Opening_ClaimsWhatCannotBeProven_IsRefused()
    {
        RogueListener gone = new(RogueBehaviour.Close);
        gone.Dispose();
        (Opening Opening, string Expected)[] lies =
        [
            (OpeningOf("a", gone.Endpoint), "cannot be dialled back"),
            (OpeningOf("a", _front.ControlEndpoint), "is the own address"),
            (OpeningOf("a", new Endpoint("other.example.org", 4053)), "does not name host 'other.example.org'"),
            (OpeningOf("b", gone.Endpoint), "the opening names acme/b"),
            (OpeningOf("a", gone.Endpoint) with { Tenant = new TenantId("globex") }, "the opening names globex/a"),
            (OpeningOf("a", gone.Endpoint) with { System = "cell-globex" }, "not 'cell-globex'"),
            (OpeningOf("a", gone.Endpoint) with { Target = new Endpoint("127.0.0.1", 1) }, "not 127.0.0.1:1"),
            (OpeningOf("a", gone.Endpoint) with { Version = 9 }, "version 9"),
            (OpeningOf("a", gone.Endpoint) with { Purpose = (OpeningPurpose)7 }, "purpose"),
        ];
        foreach ((Opening opening, string expected) in lies)
        {
            using AkkaPeer peer = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, LeafOf("a"));
            Assert.Contains(expected, (await peer.OpenAsync(opening)).Refusal, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("cell-acme", "127.0.0.1", -1)]
    [InlineData("cell-acme", "localhost", 0)]
    [InlineData("cell-globex", "127.0.0.1", 0)]
    public async Task Associate_OriginThatWasNotProven_IsCut(string system, string host, int portOffset)
    {
        using AkkaPeer peer = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, LeafOf("a"));
        Assert.Equal("", (await peer.OpenAsync(OpeningOf("a", peer.Home))).Refusal);

        await peer.SendAsync(AkkaPeer.Associate(system, host, peer.Home.Port + portOffset));

        Assert.True(await peer.IsCutAsync());
        Assert.Equal(1, _certificates.Refusals(RefusalReason.Address));
    }

    [Fact]
    public async Task Associate_HonestFirstThenForged_IsCut()
    {
        using AkkaPeer peer = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, LeafOf("a"));
        await peer.OpenAsync(OpeningOf("a", peer.Home));
        byte[] honest = AkkaPeer.Associate("cell-acme", peer.Home.Host, peer.Home.Port), forged = AkkaPeer.Associate("cell-acme", peer.Home.Host, 1);
        await peer.SendAsync(honest);

        // A payload in front does not hide the instruction.
        await peer.SendAsync([0x0A, 1, 0, .. forged]);

        Assert.True(await peer.IsCutAsync());
        Assert.Equal(1, _certificates.Refusals(RefusalReason.Address));
    }

    [Theory]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0x7F })]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF })]
    [InlineData(new byte[] { 0, 0, 0, 0 })]
    [InlineData(new byte[] { 3, 0, 0, 0, 0xFF, 0xFF, 0xFF })]
    public async Task Frame_OverTheLimitOrNoUnit_IsCut(byte[] bytes)
    {
        using AkkaPeer peer = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, LeafOf("a"));
        await peer.OpenAsync(OpeningOf("a", peer.Home));

        await peer.SendBytesAsync(bytes);

        Assert.True(await peer.IsCutAsync());
    }

    [Trait("Attack", "B1")]
    [Fact]
    public async Task Port_RandomBytesBeforeAndAfterAuthentication_StaysUpAndAcceptsAMember()
    {
        Random random = new(7);
        X509Certificate2 leaf = LeafOf("x");
        for (int i = 0; i < AttackScale.Cases(40, 1000); i++)
        {
            byte[] bytes = new byte[random.Next(1, 3000)];
            random.NextBytes(bytes);
            if (i % 4 == 0)
            {
                using Socket plain = await RawPeer.ConnectAsync(_front.ControlEndpoint);
                await plain.SendAsync(bytes);
                continue;
            }

            using AkkaPeer peer = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, leaf);
            if (i % 4 == 1)
            {
                await peer.SendBytesAsync(bytes);
                continue;
            }

            await peer.OpenAsync(OpeningOf("x", peer.Home));
            byte[] unit = AkkaPeer.Associate("cell-acme", peer.Home.Host, peer.Home.Port);
            await peer.SendAsync(unit);
            await peer.ReadAsync();
            for (int j = 0; j < 20; j++)
            {
                // Whole units inside sound frames: these reach Akka's own decoder.
                byte[] mutated = i % 4 == 2 ? [0x0A, (byte)(j + 1), .. bytes.AsSpan(0, Math.Min(j + 1, bytes.Length))] : [.. unit];
                mutated[random.Next(mutated.Length)] ^= (byte)(1 << random.Next(8));
                try
                {
                    await peer.SendAsync(mutated);
                }
                catch (IOException)
                {
                    break;
                }
            }
        }

        await _cell.NodeAsync("a", _front.ControlEndpoint);
        await _cell.AllUpAsync(2);
    }

    [Fact]
    public async Task Port_PeerThatNeverFinishes_IsCutAtTheDeadline()
    {
        using Socket silent = await RawPeer.ConnectAsync(_front.ControlEndpoint);
        using AkkaPeer afterTls = await AkkaPeer.ConnectAsync(_front.ControlEndpoint, LeafOf("a"));

        Assert.True(await afterTls.IsCutAsync());
        await Eventually.TrueAsync(() => _certificates.Refusals(RefusalReason.Deadline) == 2);
    }

    [Trait("Attack", "B7")]
    [Theory]
    [InlineData("Reset")]
    [InlineData("Close")]
    [InlineData("ResetAfterClientHello")]
    [InlineData("Garbage")]
    [InlineData("Silent")]
    [InlineData("Certificate")]
    [InlineData("CloseAfterTls")]
    [InlineData("GarbageAfterTls")]
    [InlineData("SilentAfterTls")]
    public async Task Dial_RogueListener_LeavesTheSystemRunningAndUseful(string behaviour)
    {
        RogueBehaviour how = Enum.Parse<RogueBehaviour>(behaviour);
        using RogueListener rogue = new(how, how == RogueBehaviour.Certificate ? _foreign.Leaf() : LeafOf("rogue"), "lamina-akka/1");
        string address = $"akka.mtls://cell-acme@{rogue.Endpoint}";

        // As a message, and as a seed of a joining process.
        _front.System.ActorSelection($"{address}/user/node").Tell(new NodeCommands.DescribeNode(_cell.Certificates.Tenant), ActorRefs.NoSender);
        CellSystem joining = await _cell.StartAsync(_cell.Certificates.Node("a"), [rogue.Endpoint, _front.ControlEndpoint]);
        await rogue.Connected;

        await _cell.AllUpAsync(2);
        await Eventually.TrueAsync(() => _cell.Log.Count(line => line.Contains(rogue.Endpoint.ToString(), StringComparison.Ordinal)) > 0);
        Assert.False(joining.Stopped.IsCompleted);
    }

    [Trait("Attack", "B6")]
    [Fact]
    public async Task Write_PeerThatNeverReads_IsBoundedAndCut()
    {
        using RogueListener deaf = new(RogueBehaviour.SilentAfterTls, LeafOf("deaf"), "lamina-akka/1", receiveBuffer: 64 * 1024);
        MtlsOptions options = new() { MaxPendingBytes = 1 << 20, SendDeadline = TimeSpan.FromMilliseconds(300) };
        MtlsConnection connection = await MtlsConnection.DialAsync(deaf.Endpoint, _certificates, default);
        TaskCompletionSource<string> ended = new();
        Address address = new("mtls", "cell-acme", deaf.Endpoint.Host, deaf.Endpoint.Port);
        MtlsAssociation association = new(address, address, connection, options, _ => null, (_, reason) => ended.TrySetResult(reason));
        association.Start();

        Google.Protobuf.ByteString unit = Google.Protobuf.ByteString.CopyFrom(new byte[100_000]);
        long accepted = 0;
        await Eventually.TrueAsync(() =>
        {
            while (association.Write(unit))
            {
                accepted += unit.Length;
            }

            return ended.Task.IsCompleted;
        });

        // The queue, what the kernel keeps for a sender at most, and what is on its way: the receiver's buffer is small.
        Assert.InRange(accepted, 1 << 20, options.MaxPendingBytes + KernelBytes("tcp_wmem") + (2 << 20));
        Assert.Contains("took no data", await ended.Task, StringComparison.Ordinal);
        Assert.False(association.Write(unit));
    }

    [Fact]
    public void AssociateOrigin_AnyBytes_NeverThrows() =>
        Gen.Byte.Array[0, 200].Sample(bytes => { AssociateOrigin.TryRead(bytes, out _); }, iter: AttackScale.Cases(10_000, 1_000_000));

    /// <summary>A unit that Akka would take, with some bits changed: judged or refused, by reading alone.</summary>
    [Trait("Attack", "B1")]
    [Fact]
    public void EnvelopeRule_UnitsWithBitsChanged_AreJudgedAndSetNothingAside()
    {
        PeerIdentity peer = new("test.lamina", new TenantId("acme"), PeerRole.Node, "a");
        byte[] sound = [0x0A, 0x0E, 0x12, 0x0C, 0x12, 0x0A, 0x0A, 0x02, 0x91, 0x90, 0x10, 0x05, 0x1A, 0x02, (byte)'J', (byte)'x'];
        Random random = new(5);
        byte[] unit = new byte[sound.Length];
        EnvelopeRule.Allows(peer, new Endpoint("h", 1), _ => null, sound);
        for (int i = 0; i < AttackScale.Cases(20_000, 1_000_000); i++)
        {
            sound.CopyTo(unit, 0);
            for (int flips = random.Next(1, 5); flips > 0; flips--)
            {
                unit[random.Next(unit.Length)] ^= (byte)(1 << random.Next(8));
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            EnvelopeRule.Allows(peer, new Endpoint("h", 1), _ => null, unit);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 * 1024);
        }
    }

    [Fact]
    public void AssociateOrigin_ClaimedTwice_IsNoUnit()
    {
        byte[] a = AkkaPeer.Associate("s", "h", 1), b = AkkaPeer.Associate("s", "h", 2);

        Assert.True(AssociateOrigin.TryRead(a, out (string, Endpoint)? origin));
        Assert.Equal(("s", new Endpoint("h", 1)), origin);
        Assert.False(AssociateOrigin.TryRead([.. a, .. b], out _));
    }

    /// <summary>The most that the kernel keeps for one side of a connection.</summary>
    private static long KernelBytes(string limit) => long.Parse(File.ReadAllText($"/proc/sys/net/ipv4/{limit}").Split('\t', ' ')[^1]);

    private X509Certificate2 LeafOf(string name) => _cell.Certificates.Leaf(uris: [$"spiffe://test.lamina/tenant/acme/node/{name}"]);

    private Opening OpeningOf(string name, Endpoint origin) =>
        new(Opening.CurrentVersion, OpeningPurpose.Associate, _cell.Certificates.Tenant, name, "cell-acme", origin, _front.ControlEndpoint);
}
