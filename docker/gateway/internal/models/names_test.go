package models_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/models"
)

func all(string) bool { return true }

// only tells which models are served.
func only(names ...string) func(string) bool {
	served := map[string]bool{}
	for _, name := range names {
		served[modelname.Canonical(name)] = true
	}
	return func(model string) bool { return served[model] }
}

// alias returns one whose variants are v0, v1 and so on, each of a model m0, m1 and so on.
func alias(t testing.TB, fallbacks []string, weights ...int) *models.Alias {
	t.Helper()
	spec := models.Spec{Name: "chat", Fallbacks: fallbacks}
	for i, weight := range weights {
		spec.Targets = append(spec.Targets, models.Target{Model: fmt.Sprintf("m%d", i), Weight: weight, Variant: fmt.Sprintf("v%d", i)})
	}
	var names models.Names
	names.Set([]models.Record{{Spec: spec.Complete()}})
	return names.Find(modelname.Canonical("chat"))
}

func TestEveryVariantGetsItsShareWhateverTheWeights(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		weights := make([]int, 1+random.IntN(8))
		sum := 0
		for i := range weights {
			weights[i] = random.IntN(100) * random.IntN(2)
			sum += weights[i]
		}
		if sum == 0 {
			weights[0], sum = 1, 1
		}
		a := alias(t, nil, weights...)
		const points = 20_000
		got := make([]int, len(weights))
		for point := range uint64(points) { // neighbours, which a bad hash would keep together
			var index int
			_, _ = fmt.Sscanf(a.Choose(point, all).Name, "v%d", &index)
			got[index]++
		}
		for i, weight := range weights {
			share := float64(weight) / float64(sum)
			spread := math.Sqrt(points * share * (1 - share))
			if math.Abs(float64(got[i])-points*share) > 5*spread {
				t.Errorf("weights %v: variant %d got %d of %d", weights, i, got[i], points)
			}
		}
	}
}

func TestAConversationStaysOnItsVariantAndAGrowingShareTakesOnlyWhatItGains(t *testing.T) {
	before, equal, after := alias(t, nil, 90, 10), alias(t, nil, 9, 1), alias(t, nil, 8, 2)
	moved := 0
	const points = 20_000
	for point := range uint64(points) {
		chosen := before.Choose(point, all)
		if before.Choose(point, all) != chosen || equal.Choose(point, all).Name != chosen.Name {
			t.Fatal("one point has two variants")
		}
		if next := after.Choose(point, all); next.Name != chosen.Name {
			if next.Name != "v1" {
				t.Fatal("a conversation left the variant that grows")
			}
			moved++
		}
	}
	if share := float64(moved) / points; share < 0.08 || share > 0.12 {
		t.Errorf("%v of the conversations moved: the share grew by 0.1", share)
	}
}

func TestAModelThatCantBeServedIsReplacedByTheOtherTargetsThenByTheFallbacksInTheirOrder(t *testing.T) {
	a := alias(t, []string{"f0", "f1"}, 50, 25, 25, 0)
	counts := map[string]int{}
	for point := range uint64(10_000) {
		usual := a.Choose(point, all)
		chosen := a.Choose(point, only("m1", "m2", "m3", "f0"))
		if usual.Name != "v0" && chosen != usual {
			t.Fatal("a conversation moved whose model is served")
		}
		counts[chosen.Name]++
	}
	if counts["v1"] < 4500 || counts["v2"] < 4500 || counts["v1"]+counts["v2"] != 10_000 {
		t.Errorf("without v0: %v", counts)
	}
	for want, served := range map[string]func(string) bool{
		"f0:latest": only("f0", "f1"), "f1:latest": only("f1"), "v0": only(),
	} {
		point := uint64(0)
		for a.Choose(point, all).Name != "v0" {
			point++
		}
		if got := a.Choose(point, served); got.Name != want {
			t.Errorf("%s, not %s", got.Name, want)
		}
	}
}

func TestWhatANameStandsForAloneIsTheFirstThatIsServed(t *testing.T) {
	a := alias(t, []string{"f0"}, 0, 10, 10)
	for want, served := range map[string]func(string) bool{"v1": all, "v2": only("m0", "m2", "f0"), "f0:latest": only("m0", "f0")} {
		if got := a.First(served); got.Name != want {
			t.Errorf("%s, not %s", got.Name, want)
		}
	}
	if got := a.First(only()); got.Name != "v1" {
		t.Errorf("where none is: %s", got.Name)
	}
}

func TestNamesAreFoundBySpelling(t *testing.T) {
	var names models.Names
	if names.Find("any") != nil || names.All() != nil {
		t.Error("there are names before any are set")
	}
	names.Set([]models.Record{{Spec: models.Spec{Name: "b", Fallbacks: []string{"f"}}.Complete()}, {Spec: models.Spec{Name: "a", Fallbacks: []string{"f"}}.Complete()}})
	if found := names.Find(modelname.Canonical("Library/A")); found == nil || found.Name != "a:latest" {
		t.Errorf("%+v", found)
	}
	if list := names.All(); len(list) != 2 || list[0].Name != "a:latest" {
		t.Errorf("%+v", list)
	}
}

// BenchmarkFind is all that aliases cost a request that uses none.
func BenchmarkFind(b *testing.B) {
	for _, count := range []int{0, 100} {
		var names models.Names
		var records []models.Record
		for i := range count {
			records = append(records, models.Record{Spec: models.Spec{Name: fmt.Sprintf("alias-%d", i), Fallbacks: []string{"f"}}.Complete()})
		}
		names.Set(records)
		model := modelname.Canonical("llama3.2:3b")
		b.Run(fmt.Sprint(count, " aliases"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if names.Find(model) != nil {
					b.Fatal("found")
				}
			}
		})
	}
}

func TestARequestWithoutAnAliasAllocatesNothingForNames(t *testing.T) {
	a := alias(t, nil, 1)
	var names models.Names
	names.Set([]models.Record{a.Record})
	model := modelname.Canonical("llama3.2:3b")
	if allocations := testing.AllocsPerRun(100, func() { names.Find(model) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
