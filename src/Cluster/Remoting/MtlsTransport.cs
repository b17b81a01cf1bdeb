using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Akka.Remote.Transport;
using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Cluster.Remoting;

/// <summary>
/// Akka.Remote over mutual TLS 1.3 (<c>akka.mtls://</c>). Akka's own TLS shuts the dialling system down when a handshake fails; here a failed handshake is a failed
/// association and nothing more, on either side. Certificates rotate live, and a peer is held to the address that its certificate and a dial-back prove.
/// </summary>
internal sealed class MtlsTransport : Transport
{
    public const string Scheme = "mtls";

    private const int MaxProvenAddresses = 16_384;

    private static readonly TimeSpan s_maintenance = TimeSpan.FromSeconds(1);

    private readonly MtlsSetup _setup;
    private readonly CertificateProvider _certificates;
    private readonly MtlsOptions _options;
    private readonly ILoggingAdapter _log;
    private readonly ConnectionCap _cap;
    private readonly PeerCap<PeerIdentity> _peers;
    private readonly ConcurrentDictionary<MtlsAssociation, bool> _associations = new();
    private readonly ConcurrentDictionary<Endpoint, PeerRole> _roles = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly LogLimiter _limiter = new();
    private Socket? _listener;
    private Address? _local;

    // Akka constructs transports by reflection with these two.
    public MtlsTransport(ActorSystem system, Config config)
    {
        System = system;
        Config = config;
        _setup = system.Settings.Setup.Get<MtlsSetup>().Value ?? throw new InvalidOperationException("the actor system was created without MtlsSetup");
        _certificates = _setup.Certificates;
        _options = _setup.Options;
        _log = Logging.GetLogger(system, typeof(MtlsTransport));
        _cap = new ConnectionCap(_options.MaxUnauthenticated, _options.MaxUnauthenticatedPerAddress);
        _peers = new PeerCap<PeerIdentity>(_options.MaxPerPeer);
        SchemeIdentifier = Scheme;
        MaximumPayloadBytes = _options.MaxMessageBytes;
    }

    private Endpoint Self => new(_local!.Host, _local.Port!.Value);

    public override bool IsResponsibleFor(Address remote) => true;

    public override Task<(Address, TaskCompletionSource<IAssociationEventListener>)> Listen()
    {
        try
        {
            _listener = ListeningSocket.Open(_options.BindAddress, _options.Port, _options.PublicHost);
        }
        catch (IOException e)
        {
            // Thrown, it would leave Akka waiting for its start-up deadline.
            return Task.FromException<(Address, TaskCompletionSource<IAssociationEventListener>)>(e);
        }

        Endpoint self = _options.Advertised(((IPEndPoint)_listener.LocalEndPoint!).Port);
        _local = new Address(Scheme, System.Name, self.Host, self.Port);
        TaskCompletionSource<IAssociationEventListener> listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = AcceptAllAsync(listening.Task);
        _ = MaintainAsync();
        return Task.FromResult((_local, listening));
    }

    /// <summary>Failures of every kind become <see cref="InvalidAssociationException"/>, which makes Akka wait and try again.</summary>
    public override async Task<AssociationHandle> Associate(Address remoteAddress)
    {
        Endpoint target = new(remoteAddress.Host, remoteAddress.Port ?? 0);
        using CancellationTokenSource deadline = NewDeadline();
        MtlsConnection? connection = null;
        try
        {
            connection = await MtlsConnection.DialAsync(target, _certificates, deadline.Token).ConfigureAwait(false);
            await connection.WriteAsync(NewOpening(OpeningPurpose.Associate, target), deadline.Token).ConfigureAwait(false);
            OpeningAnswer answer = await connection.ReadAsync<OpeningAnswer>(deadline.Token).ConfigureAwait(false);
            if (answer.Refusal.Length > 0)
            {
                throw new InvalidAssociationException($"{connection.Peer.Name} refused: {LinkText.Clean(answer.Refusal)}");
            }

            if (answer.Self != target)
            {
                throw new InvalidAssociationException($"{connection.Peer.Name} calls itself {answer.Self}");
            }

            return Open(connection, remoteAddress, accepted: false);
        }
        catch (Exception e)
        {
            connection?.Dispose();
            string reason = e is InvalidAssociationException ? e.Message
                : e is OperationCanceledException ? $"no answer within {_options.HandshakeDeadline.TotalSeconds:0.###} s"
                : LinkText.Describe(e);
            throw new InvalidAssociationException($"cannot associate with {target}: {reason}");
        }
    }

    public override async Task<bool> Shutdown()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _listener?.Dispose();
        MtlsAssociation[] open = [.. _associations.Keys];
        foreach (MtlsAssociation association in open)
        {
            association.Close("shut down");
        }

        Task all = Task.WhenAll(open.Select(a => a.Completed));
        if (await Task.WhenAny(all, Task.Delay(TimeSpan.FromSeconds(2))).ConfigureAwait(false) != all)
        {
            foreach (MtlsAssociation association in open)
            {
                association.Abort("shut down");
            }
        }

        return true;
    }

    private async Task AcceptAllAsync(Task<IAssociationEventListener> listening)
    {
        IAssociationEventListener listener = await listening.ConfigureAwait(false);
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                Socket socket = await _listener!.AcceptAsync(_stopping.Token).ConfigureAwait(false);
                IPAddress address = ((IPEndPoint)socket.RemoteEndPoint!).Address;
                if (_cap.TryEnter(address))
                {
                    _ = ServeAsync(socket, address, listener);
                    continue;
                }

                _certificates.Count(RefusalReason.Capacity);
                socket.LingerState = new LingerOption(true, 0);
                socket.Dispose();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                if (!_stopping.IsCancellationRequested)
                {
                    // Out of descriptors, or the peer was gone before it was accepted: others may fare better in a moment.
                    Warn($"accept failed: {e.Message}");
                    await Task.Delay(20).ConfigureAwait(false);
                }
            }
        }
    }

    private async Task ServeAsync(Socket socket, IPAddress address, IAssociationEventListener listener)
    {
        MtlsConnection? connection = null;
        PeerIdentity? counted = null;
        using CancellationTokenSource deadline = NewDeadline();
        try
        {
            socket.NoDelay = true;
            connection = await MtlsConnection.AcceptAsync(socket, _certificates, deadline.Token).ConfigureAwait(false);
            Opening opening = await connection.ReadAsync<Opening>(deadline.Token).ConfigureAwait(false);
            if (opening.Purpose == OpeningPurpose.Probe)
            {
                // The handshake was the answer.
                connection.Dispose();
                return;
            }

            string? refusal = await JudgeAsync(opening, connection, deadline.Token).ConfigureAwait(false);
            if (refusal is null && !_peers.TryEnter(connection.Peer))
            {
                _certificates.Count(RefusalReason.Capacity);
                refusal = $"{connection.Peer.Name} has {_options.MaxPerPeer} connections open here, the most that one peer may have";
            }
            else if (refusal is null)
            {
                counted = connection.Peer;
            }

            await connection.WriteAsync(new OpeningAnswer(Opening.CurrentVersion, refusal ?? "", Self), deadline.Token).ConfigureAwait(false);
            if (refusal is not null)
            {
                throw new InvalidDataException(refusal);
            }

            Address remote = new(Scheme, opening.System, opening.Origin.Host, opening.Origin.Port);
            MtlsAssociation association = Open(connection, remote, accepted: true);

            // From here on its end is what gives the place back.
            counted = null;
            listener.Notify(new InboundAssociation(association));
        }
        catch (Exception e)
        {
            connection?.Dispose();
            socket.Dispose();
            bool late = e is OperationCanceledException;
            if (_stopping.IsCancellationRequested || _setup.TakeExpectedStranger())
            {
                return;
            }

            if (late)
            {
                _certificates.Count(RefusalReason.Deadline);
            }

            Warn($"connection from {address} refused: {(late ? $"no opening within {_options.HandshakeDeadline.TotalSeconds:0.###} s" : LinkText.Describe(e))}");
        }
        finally
        {
            _cap.Leave(address);
            if (counted is not null)
            {
                _peers.Leave(counted);
            }
        }
    }

    /// <summary>Null when the dialler may speak for the address it claims.</summary>
    private async Task<string?> JudgeAsync(Opening opening, MtlsConnection connection, CancellationToken cancellation)
    {
        PeerIdentity peer = connection.Peer;
        string? wrong = opening.Version != Opening.CurrentVersion ? $"version {opening.Version} is not spoken here, {Opening.CurrentVersion} is"
            : opening.Purpose != OpeningPurpose.Associate ? "the purpose is unknown"
            : opening.Tenant != peer.Tenant || opening.Name != peer.Name ? $"the opening names {opening.Tenant}/{LinkText.Clean(opening.Name)}, the certificate {peer.Tenant}/{peer.Name}"
            : opening.System != System.Name ? $"this is the cell '{System.Name}', not '{LinkText.Clean(opening.System)}'"
            : opening.Target != Self ? $"this is {Self}, not {opening.Target}"
            : null;
        if (wrong is not null)
        {
            _certificates.Count(RefusalReason.Claim, peer);
            return wrong;
        }

        string? forged = opening.Origin == Self ? $"{opening.Origin} is the own address"
            : !connection.Names(opening.Origin.Host) ? $"the certificate of {peer.Name} does not name host '{opening.Origin.Host}'"
            : await DialBackAsync(opening.Origin, peer, cancellation).ConfigureAwait(false);
        if (forged is not null)
        {
            _certificates.Count(RefusalReason.Address, peer);
        }

        return forged;
    }

    /// <summary>Processes of one host share its name, so the port must be proven too: whoever listens at the claimed address has to show the same identity.</summary>
    private async Task<string?> DialBackAsync(Endpoint origin, PeerIdentity peer, CancellationToken cancellation)
    {
        try
        {
            using MtlsConnection there = await MtlsConnection.DialAsync(origin, _certificates, cancellation).ConfigureAwait(false);
            await there.WriteAsync(NewOpening(OpeningPurpose.Probe, origin), cancellation).ConfigureAwait(false);
            return there.Peer == peer ? null : $"{peer.Name} claims {origin}, where {there.Peer.Name} answers";
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return $"{peer.Name} claims {origin}, which cannot be dialled back: {LinkText.Describe(e)}";
        }
    }

    private MtlsAssociation Open(MtlsConnection connection, Address remote, bool accepted)
    {
        // A peer has proven this address, by its certificate and by answering there.
        Endpoint proven = new(remote.Host, remote.Port!.Value);
        if (_roles.Count < MaxProvenAddresses || _roles.ContainsKey(proven))
        {
            _roles[proven] = connection.Peer.Role;
        }

        MtlsAssociation association = new(_local!, remote, connection, _options, RoleAt, (ended, reason) => OnEnded(ended, reason, accepted));
        _associations[association] = true;
        ClusterMetrics.OpenAssociations.Add(1);
        association.Start();
        return association;
    }

    private PeerRole? RoleAt(Endpoint address) => _roles.TryGetValue(address, out PeerRole role) ? role : null;

    private void OnEnded(MtlsAssociation association, string reason, bool accepted)
    {
        if (_associations.TryRemove(association, out _))
        {
            if (accepted)
            {
                _peers.Leave(association.Peer);
            }

            ClusterMetrics.OpenAssociations.Add(-1);
            if (association.IsBroken)
            {
                Warn($"association with {association.RemoteAddress} ended: {reason}");
            }
            else
            {
                _log.Debug("association with {0} ended: {1}", association.RemoteAddress, reason);
            }
        }
    }

    /// <summary>Ends associations that are too old, or whose peer a changed deny-list names.</summary>
    private async Task MaintainAsync()
    {
        using PeriodicTimer timer = new(s_maintenance);
        int seen = _certificates.Version;
        string? problem = null, told = null;
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token).ConfigureAwait(false))
            {
                _ = _certificates.Current;

                // Files that are being replaced do not fit for a moment.
                if (_certificates.ReloadProblem is { } lasting && lasting == problem && lasting != told)
                {
                    _log.Warning("changed certificate files are not in use: {0}", lasting);
                    told = lasting;
                }

                problem = _certificates.ReloadProblem;
                told = problem is null ? null : told;
                int version = _certificates.Version;
                foreach (MtlsAssociation association in _associations.Keys)
                {
                    if (association.IsOlderThan(_options.MaxAge))
                    {
                        association.Close($"older than {_options.MaxAge}");
                    }
                    else if (version != seen && association.IsDenied)
                    {
                        Warn($"association with {association.RemoteAddress} ended: the peer is on the deny-list");
                        association.Abort("the peer is on the deny-list");
                    }
                }

                seen = version;
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private Opening NewOpening(OpeningPurpose purpose, Endpoint target) =>
        new(Opening.CurrentVersion, purpose, _certificates.Self.Tenant, _certificates.Self.Name, System.Name, Self, target);

    private CancellationTokenSource NewDeadline()
    {
        CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        deadline.CancelAfter(_options.HandshakeDeadline);
        return deadline;
    }

    private void Warn(string sentence)
    {
        if (_limiter.TryTake())
        {
            _log.Warning("akka port {0}: {1}", _local?.Port, sentence);
        }
    }
}
