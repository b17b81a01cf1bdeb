using System.Collections.Immutable;

namespace Lamina.Client.Actors;

/// <summary>What a router knows of one coordinator.</summary>
/// <param name="Running">Generations that the router has given it and that have not ended.</param>
internal sealed record CoordinatorView(Uri Endpoint, bool Healthy, int Running);

/// <summary>Where a router sends what; pure. Coordinators keep the order in which they were named.</summary>
internal sealed record RouterState(ImmutableList<CoordinatorView> Coordinators, ImmutableDictionary<RequestId, int> Placed)
{
    public static RouterState Start(IEnumerable<Uri> endpoints) =>
        new([.. endpoints.Select(endpoint => new CoordinatorView(endpoint, true, 0))], ImmutableDictionary<RequestId, int>.Empty);

    /// <summary>The healthy coordinator with the fewest generations, the first among equals; null when none is healthy.</summary>
    public int? Choose(ImmutableHashSet<int> tried)
    {
        int? best = null;
        for (int i = 0; i < Coordinators.Count; i++)
        {
            if (Coordinators[i].Healthy && !tried.Contains(i) && (best is not int chosen || Coordinators[i].Running < Coordinators[chosen].Running))
            {
                best = i;
            }
        }

        return best;
    }

    public int? Find(Uri? endpoint) => endpoint is null
        ? Coordinators.Count == 1 ? 0 : null
        : Coordinators.FindIndex(coordinator => coordinator.Endpoint == endpoint) is var index and >= 0 ? index : null;

    public RouterState Place(RequestId request, int coordinator) => this with
    {
        Coordinators = Coordinators.SetItem(coordinator, Coordinators[coordinator] with { Running = Coordinators[coordinator].Running + 1 }),
        Placed = Placed.SetItem(request, coordinator),
    };

    public RouterState End(RequestId request) => Placed.TryGetValue(request, out int coordinator)
        ? this with
        {
            Coordinators = Coordinators.SetItem(coordinator, Coordinators[coordinator] with { Running = Coordinators[coordinator].Running - 1 }),
            Placed = Placed.Remove(request),
        }
        : this;

    public RouterState WithHealth(int coordinator, bool healthy) =>
        this with { Coordinators = Coordinators.SetItem(coordinator, Coordinators[coordinator] with { Healthy = healthy }) };
}
