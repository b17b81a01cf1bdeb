using Akka.Actor;
using Lamina.Cluster.Messages;
using Lamina.Cluster.Models;
using Lamina.Coordinator.Generations;
using Lamina.Coordinator.Models;
using Lamina.Coordinator.Planning;
using Microsoft.Extensions.Logging;

namespace Lamina.Coordinator.Cells;

/// <summary>
/// <c>/user/deployments</c> of every coordinator: keeps the cell's deployments alive wherever their owners are, gets their models (by import, or from another coordinator), and
/// opens this coordinator's own links to whatever serves, so that its callers do not depend on the owner.
/// </summary>
internal sealed partial class DeploymentFollower : ReceiveActor, IWithTimers
{
    public const string Name = "deployments";

    private static readonly TimeSpan s_keep = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_retry = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_progress = TimeSpan.FromMilliseconds(100);

    private readonly CellContext _cell;
    private readonly IActorRef _deployments;
    private readonly IActorRef _self;
    private readonly Dictionary<DeploymentId, Followed> _followed = [];

    /// <summary>An operator wants the deployment's pipelines planned anew; its owner is told until it has heard.</summary>
    /// <param name="Roll">Those also whose plan comes out as it was, and of what the model's file holds now.</param>
    /// <param name="Looked">Completes with null once the owner is asked, or with why the file cannot be taken.</param>
    public sealed record Replan(DeploymentId Deployment, bool Roll, TaskCompletionSource<string?> Looked) : INoSerializationVerificationNeeded;

    private sealed record LookedAgain(Replan Replan, Got? Got, Exception? Problem) : INoSerializationVerificationNeeded;

    private sealed class Followed(DeploymentSettings settings)
    {
        public DeploymentSettings Settings { get; set; } = settings;
        public ModelOffer? Model { get; set; }
        public long ImportedBytes { get; set; }
        public long ImportBytes { get; set; }
        public string? Problem { get; set; }

        /// <summary>Whether the problem is the policy of this coordinator's cell.</summary>
        public bool Refused { get; set; }

        /// <summary>Why what another coordinator imported may not run here; null = it may, or was not asked.</summary>
        public string? ForeignRefusal { get; set; }
        public bool Fetching { get; set; }
        public long ShownAt { get; set; } = Environment.TickCount64;

        /// <summary>Epochs whose heads are being dialled.</summary>
        public HashSet<int> Dialling { get; } = [];

        public HashSet<int> Draining { get; } = [];

        /// <summary>What the file holds since a roll looked at it; offered once it is what the deployment serves.</summary>
        public ModelOffer? Changed { get; set; }

        /// <summary>The model for which this coordinator's own file was looked at last.</summary>
        public string? LookedFor { get; set; }

        /// <summary>Asks that the owner has not shown to have heard, the oldest first.</summary>
        public List<DeploymentProtocol.ReplanDeployment> Asks { get; } = [];
    }

    private sealed record Keep : INoSerializationVerificationNeeded
    {
        public static readonly Keep Instance = new();
    }

    private sealed record Progressed(DeploymentId Deployment, long Done, long Total) : INoSerializationVerificationNeeded;

    private sealed record Got(DeploymentId Deployment, ServedModel Model, ModelOffer Offer, bool Imported) : INoSerializationVerificationNeeded;

    private sealed record NotGot(DeploymentId Deployment, string Problem, bool Refused, bool Imported) : INoSerializationVerificationNeeded;

    private sealed record Dialled(DeploymentId Deployment, int Epoch, IReadOnlyList<HeadLink> Links) : INoSerializationVerificationNeeded;

    private sealed record HeadsLost(DeploymentId Deployment, int Epoch) : INoSerializationVerificationNeeded;

    private sealed record Redial(DeploymentId Deployment) : INoSerializationVerificationNeeded;

    private sealed record Drained(DeploymentId Deployment, int Epoch) : INoSerializationVerificationNeeded;

    public DeploymentFollower(CellContext cell, IActorRef deployments)
    {
        _cell = cell;
        _deployments = deployments;
        _self = Self;
        Receive<DeploymentProtocol.DeploymentShown>(shown => shown.Tenant == cell.Tenant, OnShown);
        Receive<Keep>(_ => KeepAll());
        Receive<Replan>(replan => _followed.ContainsKey(replan.Deployment), OnReplan);
        Receive<LookedAgain>(OnLookedAgain);
        Receive<Progressed>(OnProgressed);
        Receive<Got>(OnGot);
        Receive<NotGot>(OnNotGot);
        Receive<Dialled>(OnDialled);
        Receive<HeadsLost>(OnLost);
        Receive<Redial>(OnRedial);
        Receive<Drained>(drained => _deployments.Tell(new DeploymentProtocol.EpochDrained(_cell.Tenant, drained.Deployment, drained.Epoch)));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        foreach ((DeploymentId id, ModelOptions options) in _cell.Models)
        {
            _followed[id] = new Followed(DeploymentWire.Settings(options));
            Import(id, options);
        }

        Timers.StartPeriodicTimer(nameof(Keep), Keep.Instance, TimeSpan.Zero, s_keep);
    }

    private void KeepAll()
    {
        foreach (DeploymentId id in _followed.Keys)
        {
            KeepOne(id);
        }
    }

    /// <summary>What was shown last goes along when its owner is silent: a new one may know nothing.</summary>
    private void KeepOne(DeploymentId id)
    {
        Followed followed = _followed[id];
        bool silent = Environment.TickCount64 - followed.ShownAt > s_silence.TotalMilliseconds;
        _deployments.Tell(new DeploymentProtocol.KeepDeployment(
            _cell.Tenant, id, followed.Settings, followed.Model, followed.ImportedBytes, followed.ImportBytes, followed.ForeignRefusal ?? followed.Problem,
            silent ? _cell.Shown.GetValueOrDefault(id) : null, followed.Refused || followed.ForeignRefusal is not null));
        Ask(followed);
    }

    private void OnReplan(Replan replan)
    {
        if (!replan.Roll || !_cell.Models.TryGetValue(replan.Deployment, out ModelOptions? options))
        {
            Ask(replan, null);
            return;
        }

        ImportAsync(replan.Deployment, options, (_, _) => { }).PipeTo(_self, success: got => new LookedAgain(replan, got, null), failure: problem => new LookedAgain(replan, null, problem));
    }

    private void OnLookedAgain(LookedAgain looked)
    {
        (Replan replan, Got? got, Exception? problem) = looked;
        Followed followed = _followed[replan.Deployment];
        if (got is null)
        {
            // Where there never was a file, it lies with another coordinator, and what serves is rolled as it is.
            if (followed.Model is null && problem!.GetBaseException() is FileNotFoundException or DirectoryNotFoundException)
            {
                Ask(replan, null);
                return;
            }

            _cell.Logger.LogWarning("deployment {Deployment} is not rolled: {Problem}", replan.Deployment, problem!.Message);
            replan.Looked.TrySetResult(problem.Message);
            return;
        }

        if (got.Offer.Digest == _cell.Shown.GetValueOrDefault(replan.Deployment)?.Model?.Digest)
        {
            Ask(replan, null);
            return;
        }

        _cell.Board.Prepare(replan.Deployment.Value, got.Model);
        followed.Changed = got.Offer;
        Ask(replan, got.Offer);
    }

    private void Ask(Replan replan, ModelOffer? changed)
    {
        Followed followed = _followed[replan.Deployment];
        followed.Asks.Add(new DeploymentProtocol.ReplanDeployment(_cell.Tenant, replan.Deployment, replan.Roll, Random.Shared.NextInt64(), changed));
        Ask(followed);
        replan.Looked.TrySetResult(null);
    }

    /// <summary>One at a time: what is asked later must not be heard first.</summary>
    private void Ask(Followed followed)
    {
        if (followed.Asks.Count > 0)
        {
            _deployments.Tell(followed.Asks[0]);
        }
    }

    private void OnShown(DeploymentProtocol.DeploymentShown shown)
    {
        DeploymentId id = shown.Deployment;
        bool owned = _cell.Owned.ContainsKey(id);
        if (!owned && shown.Version <= (_cell.Shown.GetValueOrDefault(id)?.Version ?? 0))
        {
            return;
        }

        if (!_followed.TryGetValue(id, out Followed? followed))
        {
            _followed[id] = followed = new Followed(shown.Settings);
        }

        followed.Settings = shown.Settings;
        followed.ShownAt = Environment.TickCount64;
        if (shown.Heard is { } heard && followed.Asks.RemoveAll(ask => heard.Contains(ask.Ask)) > 0)
        {
            Ask(followed);
        }

        if (!owned)
        {
            _cell.Shown[id] = shown;
            DeploymentState state = DeploymentWire.Look(shown);
            DeploymentView view = state.ToView();
            bool refusedHere = followed.ForeignRefusal is not null && DigestOf(id) is null;
            _cell.Board.Show(refusedHere ? view with { Refused = true, Problem = followed.ForeignRefusal } : view, shown.WasReady && !shown.GaveUp);
        }

        TakeChange(shown, followed);
        if (!owned)
        {
            Follow(shown, followed);
        }

        foreach (ModelOffer wanted in new[] { shown.Model, shown.Next }.OfType<ModelOffer>())
        {
            if (_cell.Board.FindModel(id.Value, wanted.Digest) is null && !followed.Fetching && !IsImporting(followed))
            {
                Fetch(id, followed, wanted, wanted == shown.Model ? shown.Sources : []);
            }
        }
    }

    /// <summary>
    /// Gives callers the model that the owner shows as soon as this coordinator reaches a pipeline of it, or has none of another; and offers its own file's, where that is the same.
    /// </summary>
    private void TakeChange(DeploymentProtocol.DeploymentShown shown, Followed followed)
    {
        if (shown.Model is not { } wanted)
        {
            return;
        }

        GenerationRouter router = _cell.RouterOf(shown.Deployment);
        string? current = DigestOf(shown.Deployment);
        if (current is not null && current != wanted.Digest && (router.Serves(wanted.Digest) || !router.Holds(current)))
        {
            _cell.Board.Use(shown.Deployment.Value, wanted.Digest);
        }

        if (followed.Model is null || followed.Model.Digest == wanted.Digest || followed.LookedFor == wanted.Digest)
        {
            return;
        }

        followed.LookedFor = wanted.Digest;
        if (followed.Changed?.Digest == wanted.Digest)
        {
            (followed.Model, followed.Changed) = (followed.Changed, null);
        }
        else if (_cell.Models.TryGetValue(shown.Deployment, out ModelOptions? options))
        {
            Import(shown.Deployment, options);
        }
    }

    private string? DigestOf(DeploymentId deployment) => _cell.Board.FindModel(deployment.Value)?.Stored.Digest.ToString();

    private static bool IsImporting(Followed followed) => followed is { Model: null, Problem: null, ImportBytes: > 0 };

    /// <summary>Makes this coordinator's links those of the epochs that the owner shows.</summary>
    private void Follow(DeploymentProtocol.DeploymentShown shown, Followed followed)
    {
        GenerationRouter router = _cell.RouterOf(shown.Deployment);
        foreach (int gone in router.Epochs.Where(epoch => !shown.Epochs.Any(other => other.Epoch == epoch && other.Role != EpochRole.Building)))
        {
            router.Stop(gone);
        }

        foreach (EpochState serving in DeploymentWire.Epochs(shown, EpochRole.Serving).Where(epoch => router.OpenHeads(epoch.Epoch) is null && followed.Dialling.Add(epoch.Epoch)))
        {
            Dial(shown.Deployment, serving);
        }

        foreach (EpochShown retiring in shown.Epochs.Where(epoch => epoch.Role == EpochRole.Retiring))
        {
            if (!router.Epochs.Contains(retiring.Epoch))
            {
                _self.Tell(new Drained(shown.Deployment, retiring.Epoch));
            }
            else if (shown.Epochs.Where(epoch => epoch.Role == EpochRole.Serving).All(epoch => router.OpenHeads(epoch.Epoch) is not null)
                && (retiring.Digest is null || shown.Model is null || retiring.Digest == shown.Model.Digest || DigestOf(shown.Deployment) == shown.Model.Digest) && followed.Draining.Add(retiring.Epoch))
            {
                router.DrainAsync(retiring.Epoch, _cell.IsLeaving(DeploymentWire.Epochs(shown, EpochRole.Retiring).First(epoch => epoch.Epoch == retiring.Epoch)), _cell.Stopping).PipeTo(_self, success: () => new Drained(shown.Deployment, retiring.Epoch));
            }
        }
    }

    private void Dial(DeploymentId deployment, EpochState serving) =>
        _cell.OpenHeadsAsync([.. serving.Heads], warmUp: false, encoder: false).PipeTo(
            _self, success: links => new Dialled(deployment, serving.Epoch, links), failure: _ => new HeadsLost(deployment, serving.Epoch));

    private void OnDialled(Dialled dialled)
    {
        Followed followed = _followed[dialled.Deployment];
        followed.Dialling.Remove(dialled.Epoch);
        EpochShown? wanted = _cell.Shown.GetValueOrDefault(dialled.Deployment)?.Epochs.FirstOrDefault(epoch => epoch.Epoch == dialled.Epoch && epoch.Role != EpochRole.Building);
        GenerationRouter router = _cell.RouterOf(dialled.Deployment);
        if (wanted is null || router.OpenHeads(dialled.Epoch) is not null)
        {
            foreach (HeadLink link in dialled.Links)
            {
                link.Dispose();
            }

            return;
        }

        router.Add(dialled.Epoch, dialled.Links, wanted.Digest);
        router.Serve(dialled.Epoch);
        foreach (HeadLink link in dialled.Links)
        {
            link.Closed.PipeTo(_self, success: _ => new HeadsLost(dialled.Deployment, dialled.Epoch));
        }

        OnRedial(new Redial(dialled.Deployment));
    }

    /// <summary>A head is out of reach from here: tried again while the owner says that it serves.</summary>
    private void OnLost(HeadsLost lost)
    {
        _followed[lost.Deployment].Dialling.Remove(lost.Epoch);
        Timers.StartSingleTimer($"redial-{lost.Deployment}", new Redial(lost.Deployment), s_retry);
    }

    private void OnRedial(Redial redial)
    {
        if (_cell.Shown.GetValueOrDefault(redial.Deployment) is not { } shown)
        {
            return;
        }

        TakeChange(shown, _followed[redial.Deployment]);
        if (!_cell.Owned.ContainsKey(redial.Deployment))
        {
            Follow(shown, _followed[redial.Deployment]);
        }
    }
}
