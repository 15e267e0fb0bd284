(function () {
  'use strict';
  var search = document.getElementById('search');
  var found = document.getElementById('found');
  var calls = Array.prototype.slice.call(document.querySelectorAll('ol li[id]'));
  var blocks = {};
  Array.prototype.forEach.call(document.querySelectorAll('.strip a'), function (block) {
    blocks[block.getAttribute('href').slice(1)] = block;
  });
  Array.prototype.forEach.call(document.querySelectorAll('.script'), function (element) {
    element.classList.remove('script');
  });
  function filter() {
    var wanted = search.value.trim().toLowerCase();
    var count = 0;
    calls.forEach(function (call) {
      var hit = call.title.toLowerCase().indexOf(wanted) >= 0;
      count += hit ? 1 : 0;
      call.classList.toggle('dim', !hit);
      if (blocks[call.id]) {
        blocks[call.id].classList.toggle('dim', !hit);
      }
    });
    found.textContent = wanted === '' ? '' : count + ' of ' + calls.length + ' calls';
  }
  search.addEventListener('input', filter);
  document.addEventListener('keydown', function (event) {
    if (event.key === '/' && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === 'Escape' && document.activeElement === search) {
      search.value = '';
      filter();
    }
  });
  function mark(event, on) {
    var element = event.target.closest ? event.target.closest('.strip a, ol li[id]') : null;
    if (element) {
      var id = element.id || element.getAttribute('href').slice(1);
      [document.getElementById(id), blocks[id]].forEach(function (one) {
        if (one) {
          one.classList.toggle('on', on);
        }
      });
    }
  }
  document.addEventListener('mouseover', function (event) { mark(event, true); });
  document.addEventListener('mouseout', function (event) { mark(event, false); });
})();
